#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "index/layout/layout.h"

namespace modelfs::index {

/// Finds out, from a few bytes of a file, how the file is laid out. The bytes are hostile: what
/// makes no sense ends in doubt, and costs no more than its own size in time.
///
///     Begin() ─► need ─► Feed(bytes) ─► need ─► … ─► layout or doubt
///
/// After a layout or a doubt there is nothing to be fed. No I/O, no threads, no locks, no
/// exceptions.
///
/// Threads: any, one at a time.
class LayoutReader {
 public:
  /// By name (its end) and size; null for a file whose structure is not known. Never throws.
  static std::unique_ptr<LayoutReader> For(std::string_view name, std::uint64_t size_bytes);

  LayoutReader() = default;
  virtual ~LayoutReader() = default;
  LayoutReader(const LayoutReader&) = delete;
  LayoutReader& operator=(const LayoutReader&) = delete;

  /// The first step: what it needs. Once.
  virtual LayoutStep Begin() = 0;
  /// `bytes` are exactly those that were needed last, and borrowed for the call.
  virtual LayoutStep Feed(std::span<const std::byte> bytes) = 0;
};

}  // namespace modelfs::index
