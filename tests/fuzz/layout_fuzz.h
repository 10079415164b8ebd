#pragma once

#include <string>
#include <string_view>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/index/layout/layout_walk.h"

namespace modelfs::test {

/// The input but for its first byte, which says how many zeros follow, up to 4 MiB: what lies
/// behind a head is mostly not looked at.
inline SparseFile WithZeros(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return SparseFile(std::uint64_t{0});
  const std::string content(Text(data, size).substr(1));
  SparseFile file(content.size() + ((std::uint64_t{1} << (data[0] % 24)) >> 1));
  file.Put(0, content);
  return file;
}

/// Reads the layout of a file called `name`.
inline void FuzzLayout(std::string_view name, const SparseFile& file) {
  const LayoutWalk walk = WalkLayout(name, file);
  Require(walk.broken.empty(), walk.broken.c_str());
  Require(walk.needs.size() <= 64, "too many needs");
  Require(walk.doubted() != walk.why().empty(), "a doubt without a reason");
}

}  // namespace modelfs::test
