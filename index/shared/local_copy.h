#pragma once

#include <cstdint>
#include <span>

#include "fetch/base/byte_range.h"
#include "fetch/base/error.h"

namespace modelfs::index::shared {

/// An object as this machine has it, for the shared tier: what is here need not be fetched to be
/// published.
///
/// Threads: any, with no lock held; none waits. Ranges lie inside the object.
class LocalCopy {
 public:
  virtual ~LocalCopy() = default;
  /// Starts to fetch what is absent of `range`, behind what readers wait for. Fails silently.
  virtual void Fetch(ByteRange range) = 0;
  /// Whether all of `range` is here and can be read.
  virtual bool Holds(ByteRange range) const = 0;
  /// Fills `dst`, borrowed until `done`, from `offset` on. Not a use of the object.
  virtual void ReadHere(std::uint64_t offset, std::span<std::byte> dst, Done<std::size_t> done) = 0;
  /// What was not to be fetched ahead of time a while ago may be now.
  virtual void GoOn() = 0;
};

}  // namespace modelfs::index::shared
