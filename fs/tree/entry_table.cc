#include "fs/tree/entry_table.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace modelfs::fs {
namespace {

// Most directories are small, and there may be a hundred thousand of them.
constexpr std::size_t kFirstBlock = 256;
constexpr std::size_t kLargestBlock = 64u << 10;
constexpr std::size_t kFirstSlots = 8;

char* Append(char* at, std::string_view text) {
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

}  // namespace

EntryTable::Row EntryTable::At(std::uint32_t index) const {
  using std::chrono::system_clock;
  const Packed& p = rows_[index];
  const char* const raw = p.text + p.name_bytes;
  return {.name = {p.text, p.name_bytes},
          .raw = {raw, p.raw_bytes},
          .tag = {raw + p.raw_bytes, p.tag_bytes},
          .size_bytes = p.size_bytes,
          .modified = system_clock::time_point(system_clock::duration(p.modified)),
          .kind = p.kind,
          .gone = p.gone,
          .child = p.child};
}

std::size_t EntryTable::SlotOf(std::string_view name) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = std::hash<std::string_view>{}(name)&mask;
  while (slots_[slot] != 0 && NameOf(slots_[slot] - 1) != name) slot = (slot + 1) & mask;
  return slot;
}

std::optional<std::uint32_t> EntryTable::Find(std::string_view name) const {
  if (slots_.empty()) return std::nullopt;
  const std::uint32_t number = slots_[SlotOf(name)];
  if (number == 0) return std::nullopt;
  return number - 1;
}

std::uint32_t EntryTable::Add(const Row& row) {
  char* const text = Reserve(row.name.size() + row.raw.size() + row.tag.size());
  Append(Append(Append(text, row.name), row.raw), row.tag);
  rows_.push_back({.text = text,
                   .size_bytes = row.size_bytes,
                   .modified = row.modified.time_since_epoch().count(),
                   .child = row.child,
                   .tag_bytes = static_cast<std::uint32_t>(row.tag.size()),
                   .name_bytes = static_cast<std::uint8_t>(row.name.size()),
                   .raw_bytes = static_cast<std::uint8_t>(row.raw.size()),
                   .kind = row.kind,
                   .gone = row.gone});
  if (names_ * 10 >= slots_.size() * 7) GrowSlots();
  std::uint32_t& slot = slots_[SlotOf(row.name)];
  if (slot == 0) ++names_;
  slot = static_cast<std::uint32_t>(rows_.size());
  return slot - 1;
}

void EntryTable::SetModified(std::uint32_t index, std::chrono::system_clock::time_point modified) {
  rows_[index].modified = modified.time_since_epoch().count();
}

char* EntryTable::Reserve(std::size_t bytes) {
  if (block_bytes_ - block_used_ < bytes) {
    const std::size_t next = blocks_.empty() ? kFirstBlock : block_bytes_ * 4;
    block_bytes_ = std::max(std::clamp(next, kFirstBlock, kLargestBlock), bytes);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(block_bytes_));
    block_used_ = 0;
  }
  char* const at = blocks_.empty() ? nullptr : blocks_.back().get() + block_used_;
  block_used_ += bytes;
  return at;
}

void EntryTable::GrowSlots() {
  const std::vector<std::uint32_t> old = std::exchange(
      slots_, std::vector<std::uint32_t>(slots_.empty() ? kFirstSlots : slots_.size() * 2));
  for (const std::uint32_t number : old) {
    if (number != 0) slots_[SlotOf(NameOf(number - 1))] = number;
  }
}

}  // namespace modelfs::fs
