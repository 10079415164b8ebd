#include "index/layout/npy_layout.h"

#include <fmt/format.h>

#include "index/layout/little_bytes.h"

namespace modelfs::index {
namespace {

constexpr std::uint64_t kFixedBytes = 12;  ///< With the length of versions 2 and 3.
constexpr std::uint64_t kMostHeaderBytes = 1u << 20;

}  // namespace

LayoutStep NpyLayout::Begin() {
  if (size_bytes_ < kFixedBytes) return LayoutDoubt{"shorter than a numpy header"};
  return LayoutNeed{{0, kFixedBytes}};
}

LayoutStep NpyLayout::Feed(std::span<const std::byte> bytes) {
  LittleBytes in(bytes);
  const bool magic = in.Text(6) == "\x93NUMPY";
  const auto major = in.Number<std::uint8_t>();
  in.Skip(1);
  const std::uint64_t length = major == 1 ? in.Number<std::uint16_t>() : in.Number<std::uint32_t>();
  if (!in.ok() || !magic || major < 1 || major > 3) return LayoutDoubt{"no numpy array"};
  const std::uint64_t begin = in.taken() + length;
  if (length > kMostHeaderBytes || begin > size_bytes_) {
    return LayoutDoubt{fmt::format("a numpy header of {} bytes", length)};
  }
  return MakeLayout({{0, begin}, {begin, size_bytes_}}, size_bytes_);
}

}  // namespace modelfs::index
