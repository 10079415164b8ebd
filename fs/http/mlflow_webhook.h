#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "fetch/base/mutex.h"

namespace modelfs::fs {

/// Tells MLflow's webhooks from what pretends to be one: HMAC-SHA256 over "id.timestamp.body", a
/// window of time, and each delivery once.
///
/// Threads: any. Lock order: `mutex_` is a leaf.
/// Source: facts/mlflow-and-s3.md, section 4.
class MlflowWebhook {
 public:
  using Clock = std::chrono::system_clock;
  /// How far a delivery's time may be from ours, and how long its id is remembered beyond that.
  static constexpr std::chrono::seconds kWindow{300};

  struct Delivery {
    std::string_view id;         ///< X-MLflow-Delivery-Id
    std::string_view timestamp;  ///< X-MLflow-Timestamp
    std::string_view signature;  ///< X-MLflow-Signature
    std::string_view body;       ///< Raw bytes.
  };
  enum class Verdict : std::uint8_t {
    kNew,        ///< Genuine, and the first of its id.
    kDuplicate,  ///< Genuine, but it was here before: a retry, or a replay.
    kForged,     ///< The signature is none of `secret`.
    kStale,      ///< Signed, but too old or from the future.
  };
  Verdict Check(const Delivery& delivery, std::string_view secret, Clock::time_point now)
      EXCLUDES(mutex_);

  /// "v1,<base64>": what a genuine delivery carries.
  static std::string Sign(const Delivery& delivery, std::string_view secret);

 private:
  Mutex mutex_;
  std::map<std::string, Clock::time_point> seen_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
