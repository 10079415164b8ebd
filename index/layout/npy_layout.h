#pragma once

#include "index/layout/layout_reader.h"

namespace modelfs::index {

/// numpy's `.npy`: magic, version, length of a header, the header, one array.
///
/// Parts: the header, the array. What the header says of the array does not matter: there is
/// nothing behind it.
/// Source: numpy/lib/format.py.
class NpyLayout final : public LayoutReader {
 public:
  explicit NpyLayout(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

  LayoutStep Begin() override;
  LayoutStep Feed(std::span<const std::byte> bytes) override;

 private:
  const std::uint64_t size_bytes_;
};

}  // namespace modelfs::index
