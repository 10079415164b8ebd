#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/origin.h"

namespace modelfs::fs {

/// The entries of one directory, packed: a row of 40 bytes each, texts side by side in blocks, and
/// a table of row numbers by name. 100,000 objects with names of 40 bytes take 12 MiB.
///
/// Rows are only ever added, so a row's number stays good. Where several have the same name, Find
/// gives the latest.
/// Threads: none of its own; the owner locks. Texts live as long as the table and do not move.
class EntryTable {
 public:
  struct Row {
    std::string_view name;  ///< As shown, at most kMaxNameBytes.
    std::string_view raw;   ///< As the origin has it; empty when equal to `name`.
    std::string_view tag;
    std::uint64_t size_bytes = 0;
    std::chrono::system_clock::time_point modified{};
    fetch::Entry::Kind kind = fetch::Entry::Kind::kFile;
    bool gone = false;
    std::uint32_t child = 0;

    std::string_view RawName() const { return raw.empty() ? name : raw; }
  };

  std::size_t size() const { return rows_.size(); }
  /// Requires: index < size().
  Row At(std::uint32_t index) const;
  /// The latest row with this name, also when it is gone.
  std::optional<std::uint32_t> Find(std::string_view name) const;

  /// Copies the texts; `gone` and `child` are as in the row.
  /// Requires: name and raw are at most 255 bytes.
  std::uint32_t Add(const Row& row);
  void SetGone(std::uint32_t index) { rows_[index].gone = true; }
  void SetModified(std::uint32_t index, std::chrono::system_clock::time_point modified);
  void SetChild(std::uint32_t index, std::uint32_t child) { rows_[index].child = child; }

 private:
  struct Packed {
    const char* text = nullptr;  ///< Name, raw name and tag, side by side.
    std::uint64_t size_bytes = 0;
    std::int64_t modified = 0;  ///< In units of system_clock.
    std::uint32_t child = 0;
    std::uint32_t tag_bytes = 0;
    std::uint8_t name_bytes = 0;
    std::uint8_t raw_bytes = 0;
    fetch::Entry::Kind kind = fetch::Entry::Kind::kFile;
    bool gone = false;
  };
  static_assert(sizeof(Packed) <= 40);

  char* Reserve(std::size_t bytes);
  std::string_view NameOf(std::uint32_t index) const {
    return {rows_[index].text, rows_[index].name_bytes};
  }
  /// Where `name` is in slots_, or would be put.
  std::size_t SlotOf(std::string_view name) const;
  void GrowSlots();

  std::vector<Packed> rows_;
  std::vector<std::uint32_t> slots_;  ///< Row number + 1, 0: free. Open addressing.
  std::size_t names_ = 0;             ///< Slots in use.
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t block_bytes_ = 0;
  std::size_t block_used_ = 0;
};

}  // namespace modelfs::fs
