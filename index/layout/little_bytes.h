#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace modelfs::index {

/// Takes little-endian numbers and text off the front of bytes. Once something did not fit it is
/// not `ok`, and gives zeros and empty texts; ask before what was taken is used.
class LittleBytes {
 public:
  explicit LittleBytes(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  std::size_t taken() const { return taken_; }

  template <std::unsigned_integral T>
  T Number() {
    const auto bytes = Bytes(sizeof(T));
    T value = 0;
    if (bytes.size() == sizeof(T)) std::memcpy(&value, bytes.data(), sizeof(T));
    if constexpr (std::endian::native == std::endian::big) value = std::byteswap(value);
    return value;
  }
  /// Borrowed from the bytes.
  std::string_view Text(std::uint64_t length) {
    const auto bytes = Bytes(length);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  void Skip(std::uint64_t length) { Bytes(length); }

 private:
  std::span<const std::byte> Bytes(std::uint64_t length) {
    ok_ = ok_ && length <= bytes_.size() - taken_;
    if (!ok_) return {};
    const auto bytes = bytes_.subspan(taken_, static_cast<std::size_t>(length));
    taken_ += bytes.size();
    return bytes;
  }

  std::span<const std::byte> bytes_;
  std::size_t taken_ = 0;
  bool ok_ = true;
};

}  // namespace modelfs::index
