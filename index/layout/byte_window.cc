#include "index/layout/byte_window.h"

#include <algorithm>

namespace modelfs::index {

std::span<const std::byte> ByteWindow::ahead() const {
  if (position_ >= end_) return {};
  return std::span(bytes_).last(static_cast<std::size_t>(end_ - position_));
}

bool ByteWindow::Skip(std::uint64_t bytes) {
  if (bytes > limit_ - position_) return false;
  position_ += bytes;
  return true;
}

std::optional<ByteRange> ByteWindow::Next(std::uint64_t most) {
  const std::uint64_t begin = std::max(position_, end_);
  const std::uint64_t bytes = std::min({most, limit_ - begin, kMostLayoutBytes - asked_bytes_});
  if (bytes == 0) return std::nullopt;
  next_ = ByteRange::At(begin, bytes);
  asked_bytes_ += bytes;
  return next_;
}

bool ByteWindow::Add(std::span<const std::byte> bytes) {
  if (next_.empty() || bytes.size() != next_.size()) return false;
  const auto kept = ahead();
  std::vector<std::byte> all;
  all.reserve(kept.size() + bytes.size());
  all.insert(all.end(), kept.begin(), kept.end());
  all.insert(all.end(), bytes.begin(), bytes.end());
  bytes_ = std::move(all);
  end_ = next_.end;
  next_ = {};
  return true;
}

}  // namespace modelfs::index
