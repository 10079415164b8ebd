#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "index/cache.h"
#include "index/core.h"
#include "index/local_object.h"

namespace modelfs::index {

/// Reads objects back and compares every present chunk with its checksum, on its own thread.
///
/// Threads: Start from any; everything else on `verify`.
class Verifier {
 public:
  using Progress = std::move_only_function<bool(std::uint64_t bytes)>;
  using Ids = std::vector<fetch::ObjectId>;
  using Open = std::function<std::shared_ptr<LocalObject>(const fetch::ObjectId& id)>;

  explicit Verifier(std::shared_ptr<Core> core) : core_(std::move(core)), thread_("verify") {}

  /// See Cache::Verify. `open` is called on the `verify` thread, for one object at a time.
  void Start(Ids ids, Open open, Progress progress, Done<VerifyReport> done);
  void Stop() { thread_.Stop(); }

 private:
  enum class Verdict : std::uint8_t { kAllEqual, kBad, kStopped };
  Verdict VerifyObject(LocalObject& object, Progress& progress, VerifyReport& report,
                       std::vector<std::byte>& buffer);

  const std::shared_ptr<Core> core_;
  TaskThread thread_;
};

}  // namespace modelfs::index
