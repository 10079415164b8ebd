#pragma once

#include <cstdint>
#include <string>

namespace modelfs::fs {

/// Whether a mount lets the kernel read whole objects by itself, from the file of the cache.
enum class Passthrough : std::uint8_t {
  kOff,
  kOn,       ///< Where the kernel can.
  kStacked,  ///< To a cache on an overlay.
};

struct PassthroughState {
  bool on = false;
  std::string why;          ///< It is not.
  std::uint64_t files = 0;  ///< Handed to the kernel now.
};

}  // namespace modelfs::fs
