#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "fetch/base/error.h"
#include "fetch/s3/credentials.h"

namespace modelfs::fetch {

/// Keys and how long they are good for.
struct TemporaryKeys {
  Credentials keys;
  std::optional<std::chrono::system_clock::time_point> expires;  ///< Nullopt: nobody says.
};

/// Fetches keys once per call; remembers none. RefreshingCredentials decides when.
///
/// Threads: one call at a time, from any thread. Shared: it lives until its last completion.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  /// For messages: "the container endpoint http://169.254.170.23/v1/credentials".
  virtual std::string Describe() const = 0;
  /// Calls `done` once, on some thread, perhaps inside the call; soon with kCancelled when `stop`
  /// asks. Errors: kTransient (may work later), kDenied, kCorrupt (an answer that makes no sense)
  /// and others; the text holds no secret.
  virtual void Fetch(std::stop_token stop, Done<TemporaryKeys> done) = 0;
};

}  // namespace modelfs::fetch
