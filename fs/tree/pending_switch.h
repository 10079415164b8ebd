#pragma once

#include <cstdint>
#include <string>

namespace modelfs::fs {

/// An alias that moved in the registry and is held back until its bytes are here.
struct PendingSwitch {
  std::string model;
  std::string alias;
  std::uint64_t from = 0;  ///< The version that is served.
  std::uint64_t to = 0;
  std::uint64_t cached_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::string failure;  ///< Why the last try failed; "" while it goes on.
};

}  // namespace modelfs::fs
