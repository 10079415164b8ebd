#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/http/object_reader.h"
#include "fetch/mlflow/mlflow_client.h"
#include "fetch/mlflow/presigned_urls.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// Reads artifacts through an MLflow server, by the best way that this server has:
///
///     presigned   ranges at the storage, by URLs that the server signs     asked for first
///     ranges      GET with Range at the server                             where it answers 206
///     stream      one GET of the whole                                     else
///
/// The way is found out once, on a small file (or, where that one is broken, on the file that is
/// wanted), and remembered; it falls from ranges to stream when
/// the server turns out to ignore a range. No HEAD is ever sent: it costs the server a whole copy.
///
/// Threads: any; completions run on the http or timer threads.
/// Lock order: `mutex_` is a leaf.
/// Source: facts/mlflow-and-s3.md, section 2.
class ServedArtifacts : public std::enable_shared_from_this<ServedArtifacts> {
 public:
  enum class Way : std::uint8_t { kUnknown, kPresigned, kRanges, kStream };

  struct Options {
    std::shared_ptr<MlflowClient> client;
    /// Path and query of an artifact at the server, encoded.
    std::function<std::string(const std::string& path)> url_path;
    /// Asks for a presigned URL; null: this server has none.
    PresignedUrls::Ask presign;
    bool ranges = true;  ///< False: a range would cost the server a copy of the whole.
    std::shared_ptr<RetryingClient> storage;  ///< For presigned URLs: another host, no login.
    std::string storage_ca_bundle;
    ProxySettings proxy;  ///< On the way to the storage.
    RetryOptions retry{.patience = std::chrono::seconds(60)};
    std::size_t streams_at_once = 4;  ///< Each costs the server a copy of the object.
  };
  explicit ServedArtifacts(Options options);

  struct Object {
    std::string path;
    std::uint64_t size_bytes = 0;
    std::string what;  ///< For messages: "mlflow:http://host iris/1/model.pkl".
    std::shared_ptr<EtagPin> pin;
  };
  /// `sample`: a small file beside `object`, to find out the way by. Errors: as Origin::Read.
  void Read(Object object, const Object& sample, ByteRange range, std::shared_ptr<BodySink> sink,
            Done<void> done) EXCLUDES(mutex_);

  Way way() const { return way_.load(); }
  const std::shared_ptr<MlflowClient>& client() const { return options_.client; }

 private:
  struct Job {
    Object object;
    ByteRange range;
    std::shared_ptr<BodySink> sink;
    Done<void> done;
  };

  /// The file that the way is looked for on.
  struct Probe {
    Object object;
    bool patient = false;  ///< Somebody wants that file: with all the retries of a read.
  };
  using WayFound = std::move_only_function<void(const Result<void>&, const Probe& asked)>;

  void ReadOnceWayIsFound(Job job, const Probe& probe) EXCLUDES(mutex_);
  void FindWay(const Probe& probe, WayFound done) EXCLUDES(mutex_);
  void TryPresigned(const Probe& probe);
  void TryRanges(const Probe& probe);
  void Found(Result<Way> way, const Probe& asked) EXCLUDES(mutex_);
  void Go(Job job);
  void ReadPresigned(Job job, int tries);
  void ReadRanges(Job job);
  void ReadStream(Job job) EXCLUDES(mutex_);
  void StreamEnded() EXCLUDES(mutex_);
  void Run(Job job, Delivery delivery, const RetryOptions& retry);
  void RunAt(const PresignedUrl& url, Job job);

  const Options options_;
  const std::shared_ptr<PresignedUrls> urls_;  // Null: none.
  std::atomic<Way> way_{Way::kUnknown};
  Mutex mutex_;
  std::vector<WayFound> waiting_ GUARDED_BY(mutex_);  // For the way to be found.
  bool asking_ GUARDED_BY(mutex_) = false;
  std::deque<Job> queue_ GUARDED_BY(mutex_);  // Streams that wait for their turn.
  std::size_t streams_ GUARDED_BY(mutex_) = 0;
};

}  // namespace modelfs::fetch
