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
  using Items = std::vector<RepairItem>;
  using Open = std::function<std::shared_ptr<LocalObject>(const fetch::ObjectId& id)>;

  explicit Verifier(std::shared_ptr<Core> core) : core_(std::move(core)), thread_("verify") {}

  /// See Cache::Verify and Cache::Repair. No items: all objects. `open` is called on the `verify`
  /// thread, for one object at a time.
  void Start(Items items, Open open, Progress progress, Done<VerifyReport> done);
  void Stop() { thread_.Stop(); }

 private:
  enum class Verdict : std::uint8_t { kAllEqual, kBad, kStopped };
  enum class Damage : std::uint8_t { kReport, kMend };
  Verdict VerifyObject(LocalObject& object, Damage damage, Progress& progress, VerifyReport& report,
                       std::vector<std::byte>& buffer);
  void Mend(LocalObject& object, const std::vector<std::uint64_t>& bad, VerifyReport& report);

  const std::shared_ptr<Core> core_;
  TaskThread thread_;
};

}  // namespace modelfs::index
