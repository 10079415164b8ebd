#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"

namespace modelfs::test {

/// One way in which an answer goes wrong. `count_bytes` counts bytes of the body.
struct Fault {
  enum class Kind : std::uint8_t {
    kStatus,             ///< Answers `status` with an S3 error document of `code`.
    kDrop,               ///< Closes the connection after `count_bytes`.
    kStall,              ///< Stops after `count_bytes` until released, then goes on.
    kWrongContentRange,  ///< Content-Range starts one byte further than the body.
    kIgnoreRange,        ///< 200 and the whole object.
    kShortBody,          ///< Body and Content-Length lack the last `count_bytes` of the range.
    kLongBody,           ///< `count_bytes` too many, and a Content-Length to match.
    kFlipByte,           ///< The byte at `count_bytes` into the body has a bit flipped.
    kStaleEtag,          ///< An ETag that no object has.
    kGzipHeader,         ///< Content-Encoding: gzip on plain bytes.
    kRedirect,           ///< `status` (301, 307) to `location`.
    kDelay,              ///< `delay` before the first byte, besides the link's latency.
    kRate,               ///< The body goes at `rate` bytes per second.
    kChunked,            ///< No Content-Length: chunked transfer encoding.
    kBrokenXml,          ///< A listing's or error's document ends in the middle, status as it was.
  };
  Kind kind = Kind::kStatus;
  int status = 503;
  std::string code = {};  ///< Empty: the one that S3 sends with `status`.
  std::uint64_t count_bytes = 0;
  std::string location = {};
  std::chrono::milliseconds delay{0};
  double rate = 1;
  std::optional<int> retry_after = {};  ///< Seconds, for kStatus.
};

/// Which requests a fault meets: among those of `method` (empty: all) whose "bucket/key" (or
/// "bucket/" and prefix for a listing) contains `key`, the `nth` (from 1) and `count` - 1 further
/// ones. A count of 0 means all that follow. A request goes to the first rule of the script that
/// has its turn; the rules behind that one do not see it. So a list of rules that differ in nothing
/// but their fault meets one request after the other.
struct FaultRule {
  std::string method = {};  ///< "GET", "HEAD", "PUT", "DELETE"; "LIST" for GET of a bucket.
  std::string key = {};
  std::uint64_t nth = 1;
  std::uint64_t count = 1;
  std::vector<Fault> faults = {};  ///< All of them are applied.
};

/// "drop", "stall", ...: as in the JSON.
std::string_view ToString(Fault::Kind kind);
/// Reads the script of `POST /_origin/faults`; tests/support/README.md describes it.
/// Errors: kInvalid, naming the entry.
Result<std::vector<FaultRule>> ParseFaultScript(const nlohmann::json& script);

/// Deals out faults to requests in the order of their arrival. Deterministic. Threads: any.
class FaultScript {
 public:
  /// Replaces the script and starts its counts anew.
  void Set(std::vector<FaultRule> rules);
  /// The faults of the request that has just arrived: those of the first rule that has its turn.
  std::vector<Fault> Next(std::string_view method, std::string_view name);

 private:
  struct Counted {
    FaultRule rule;
    std::uint64_t seen = 0;
  };
  Mutex mutex_;
  std::vector<Counted> rules_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::test
