#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"
#include "fetch/mlflow/mlflow_client.h"

namespace modelfs::fetch {

/// A URL that opens one object at its storage for a while, with what must be sent along.
struct PresignedUrl {
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::chrono::seconds valid_for{300};  ///< From when it was made.
};

/// Reads {"url" or "presigned_url", "headers"}. `server`: who gave it; a server reached by https
/// does not lead us to http.
/// Errors: kInvalid.
Result<PresignedUrl> ParsePresignedUrl(const nlohmann::json& answer, std::string_view server);

/// The presigned URLs of one server, asked for when needed, renewed when four fifths of their time
/// have passed.
///
/// Threads: any. Completions run inside the call or on the client's threads.
/// Lock order: `mutex_` is a leaf.
class PresignedUrls : public std::enable_shared_from_this<PresignedUrls> {
 public:
  /// Asks the server for the URL of `path`.
  using Ask = std::function<void(const std::string& path, Done<nlohmann::json> done)>;
  PresignedUrls(std::string server, Ask ask, Timer* timer)
      : server_(std::move(server)), ask_(std::move(ask)), timer_(timer) {}

  /// Errors: those of the server's answer, and of ParsePresignedUrl.
  void Get(const std::string& path, Done<PresignedUrl> done) EXCLUDES(mutex_);
  /// The storage refused `url`: the next Get asks for another.
  void Drop(const std::string& path, const std::string& url) EXCLUDES(mutex_);

 private:
  struct Kept {
    PresignedUrl url;
    Timer::Clock::time_point renew_at;
  };
  void Keep(const std::string& path, const PresignedUrl& url) EXCLUDES(mutex_);

  const std::string server_;
  const Ask ask_;
  Timer* const timer_;
  Mutex mutex_;
  std::map<std::string, Kept> kept_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fetch
