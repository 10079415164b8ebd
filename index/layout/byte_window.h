#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "fetch/base/byte_range.h"
#include "index/layout/layout.h"

namespace modelfs::index {

/// The bytes that a reader has in hand on its way through an object, front to back. What it has
/// passed is dropped, and it may jump over bytes that were never asked for.
///
///     dropped     |<----- in hand ----->|
///              position                end  ─►  Next: what follows, or from the position on
///                                               when that is behind the end
class ByteWindow {
 public:
  /// Nothing from `limit` on is asked for.
  explicit ByteWindow(std::uint64_t limit) : limit_(limit) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t limit() const { return limit_; }
  /// What is in hand from the position on; valid until Add.
  std::span<const std::byte> ahead() const;
  /// Whether the position is behind all that is in hand.
  bool jumped() const { return position_ > end_; }

  /// False, and nothing happens, when that leads beyond the limit.
  bool Skip(std::uint64_t bytes);

  /// The next bytes to ask for: `most` or fewer. Nullopt when there are none before the limit, or
  /// when kMostLayoutBytes were asked for.
  std::optional<ByteRange> Next(std::uint64_t most);
  /// What Next asked for last. False when it is not that.
  bool Add(std::span<const std::byte> bytes);

 private:
  const std::uint64_t limit_;
  std::uint64_t position_ = 0;
  std::uint64_t end_ = 0;  ///< Of what is in hand; it begins bytes_.size() before.
  std::uint64_t asked_bytes_ = 0;
  ByteRange next_;
  std::vector<std::byte> bytes_;
};

}  // namespace modelfs::index
