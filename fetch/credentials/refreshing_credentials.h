#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/credentials/credential_source.h"

namespace modelfs::fetch {

/// Keys that expire: keeps the last ones and has its source fetch others in time.
///
///     fetched ───────────── advisory ───────── mandatory ─────── expired
///        given out at once  │ the same, while   │ callers wait    │ callers wait, and fail
///                           │ others come       │ for the others  │ if none come
///
/// One fetch at a time; all who wait share it. While it fails, keys that are still good are given
/// out, and the next try is half a minute away.
///
/// Threads: any. Lock order: `mutex_` is a leaf.
class RefreshingCredentials final : public CredentialsProvider,
                                    public std::enable_shared_from_this<RefreshingCredentials> {
 public:
  /// As botocore has them; at most a quarter and a tenth of what the keys have to live when they
  /// come.
  static constexpr std::chrono::minutes kAdvisory{15};
  static constexpr std::chrono::minutes kMandatory{10};

  struct Options {
    std::shared_ptr<CredentialSource> source;
    std::string principal;  ///< See CredentialsProvider.
    /// Go on with expired keys while the source is down (EC2's "static stability").
    bool keep_expired = false;
    std::function<std::chrono::system_clock::time_point()> wall_clock;
  };
  explicit RefreshingCredentials(Options options) : options_(std::move(options)) {}

  void Get(const std::optional<Credentials>& rejected,
           Done<std::optional<Credentials>> done) override;
  std::string Principal() const override { return options_.principal; }
  bool CanRefresh() const override { return true; }
  void Stop() override { stop_.request_stop(); }

 private:
  using Time = std::chrono::system_clock::time_point;

  /// The keys, where they can be given out; null otherwise.
  const TemporaryKeys* Good(Time now) const REQUIRES(mutex_);
  void Fetch();
  void OnFetched(Result<TemporaryKeys> result);
  void Take(TemporaryKeys fetched, Time now) REQUIRES(mutex_);
  Error Explain(const Error& error) const;

  const Options options_;
  std::stop_source stop_;

  Mutex mutex_;
  std::optional<TemporaryKeys> keys_ GUARDED_BY(mutex_);
  bool rejected_ GUARDED_BY(mutex_) = false;  // keys_ were, by a server.
  Time advisory_ GUARDED_BY(mutex_);          // Of keys_.
  Time mandatory_ GUARDED_BY(mutex_);
  bool fetching_ GUARDED_BY(mutex_) = false;
  Time next_try_ GUARDED_BY(mutex_);  // Not before, while the keys are good.
  std::vector<Done<std::optional<Credentials>>> waiters_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fetch
