#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "fetch/base/byte_range.h"

namespace modelfs::test {

/// A file of any size that is zero but for a few pieces.
class SparseFile {
 public:
  explicit SparseFile(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}
  explicit SparseFile(std::string content) : size_bytes_(content.size()) {
    Put(0, std::move(content));
  }

  std::uint64_t size_bytes() const { return size_bytes_; }
  /// Requires: it overlaps no other piece.
  void Put(std::uint64_t offset, std::string bytes) { pieces_[offset] = std::move(bytes); }

  std::string Read(ByteRange range) const {
    std::string out(static_cast<std::size_t>(range.size()), '\0');
    for (const auto& [offset, piece] : pieces_) {
      const ByteRange hit = range.Intersect(ByteRange::At(offset, piece.size()));
      if (hit.empty()) continue;
      std::memcpy(out.data() + (hit.begin - range.begin), piece.data() + (hit.begin - offset),
                  static_cast<std::size_t>(hit.size()));
    }
    return out;
  }

 private:
  std::uint64_t size_bytes_ = 0;
  std::map<std::uint64_t, std::string> pieces_;
};

/// `value` as it lies in a file, lowest byte first.
template <class T>
std::string Little(T value) {
  static_assert(std::endian::native == std::endian::little);
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace modelfs::test
