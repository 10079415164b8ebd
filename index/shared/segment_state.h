#pragma once

#include <cstdint>

namespace modelfs::index::shared {

/// What we believe of a segment in the shared directory.
enum class SegmentState : std::uint8_t {
  kAbsent,    ///< Nobody has it or fetches it, as far as we know.
  kClaiming,  ///< We are asking for it.
  kOurs,      ///< We fetch it for all.
  kTheirs,    ///< Somebody else does.
  kPresent,   ///< It is published.
};

constexpr bool MayMove(SegmentState from, SegmentState to) {
  using enum SegmentState;
  switch (from) {
    case kAbsent: return to == kClaiming || to == kTheirs || to == kPresent;
    // A claim failed | it is ours | somebody was quicker | and is ready already.
    case kClaiming: return to == kAbsent || to == kOurs || to == kTheirs || to == kPresent;
    case kOurs:    // given up | published
    case kTheirs:  // given up, or they died | published
      return to == kAbsent || to == kPresent;
    case kPresent: return to == kAbsent;  // gone, or wrong
  }
  return false;
}
static_assert(!MayMove(SegmentState::kTheirs, SegmentState::kOurs));

}  // namespace modelfs::index::shared
