#include "index/layout/zip_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "index/layout/little_bytes.h"

namespace modelfs::index {
namespace {

constexpr std::uint64_t kMagicBytes = 4;
constexpr std::uint64_t kTailBytes = 64u << 10;  ///< Most directories lie within it.
constexpr std::uint64_t kLocalBytes = 30, kCentralBytes = 46;
constexpr std::uint64_t kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20;
/// The most that an entry's own header may add to what the directory says, and what may follow it.
constexpr std::uint64_t kMostExtraBytes = 65'535 + 24;

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50;
constexpr std::uint32_t kEnd64 = 0x06064b50, kLocator = 0x07064b50;
constexpr std::string_view kEnd = "PK\x05\x06";

/// What the end of an archive says.
struct End {
  std::uint64_t entries = 0;
  std::uint64_t directory_bytes = 0;
  std::uint64_t directory_begin = 0;
  std::uint64_t directory_end = 0;  ///< Where it must end: what follows it begins there.
};

/// `tail` begins at `begin` in the file and goes to its end.
std::optional<End> FindEnd(std::span<const std::byte> tail, std::uint64_t begin) {
  const std::string_view text(reinterpret_cast<const char*>(tail.data()), tail.size());
  std::size_t at = std::string_view::npos;
  while ((at = text.rfind(kEnd, at)) != std::string_view::npos) {
    LittleBytes in(tail.subspan(at + kEnd.size()));
    const auto disks = in.Number<std::uint32_t>();
    in.Skip(2);
    End end{.entries = in.Number<std::uint16_t>()};
    end.directory_bytes = in.Number<std::uint32_t>();
    end.directory_begin = in.Number<std::uint32_t>();
    end.directory_end = begin + at;
    const auto comment_bytes = in.Number<std::uint16_t>();
    if (in.ok() && disks == 0 && comment_bytes == tail.size() - at - kEndBytes) return end;
    if (at-- == 0) break;
  }
  return std::nullopt;
}

/// The zip64 end that a locator before the plain `end` leads to. Unchanged where there is no
/// locator, nullopt where it leads astray.
std::optional<End> FindEnd64(std::span<const std::byte> tail, std::uint64_t begin, End end) {
  const std::uint64_t at = end.directory_end - begin;
  if (at < kLocatorBytes) return end;
  LittleBytes locator(tail.subspan(static_cast<std::size_t>(at - kLocatorBytes)));
  if (locator.Number<std::uint32_t>() != kLocator) return end;
  locator.Skip(4);
  const auto record = locator.Number<std::uint64_t>();
  if (record < begin || record > end.directory_end - kLocatorBytes ||
      end.directory_end - kLocatorBytes - record < kEnd64Bytes) {
    return std::nullopt;
  }
  LittleBytes in(tail.subspan(static_cast<std::size_t>(record - begin)));
  const bool magic = in.Number<std::uint32_t>() == kEnd64;
  in.Skip(8 + 2 + 2);  // Its size, versions.
  const auto disks = in.Number<std::uint64_t>();
  in.Skip(8);
  end.entries = in.Number<std::uint64_t>();
  end.directory_bytes = in.Number<std::uint64_t>();
  end.directory_begin = in.Number<std::uint64_t>();
  end.directory_end = record;
  if (!in.ok() || !magic || disks != 0) return std::nullopt;
  return end;
}

struct Entry {
  std::uint64_t begin = 0;
  std::uint64_t size_bytes = 0;  ///< At least: what its own header adds is not known.
};

/// Puts in what did not fit into 32 bits; it follows in this order. False when it is not there.
bool ReadExtra(std::string_view extra, std::uint32_t full_bytes, std::uint64_t& stored_bytes,
               std::uint64_t& begin) {
  constexpr std::uint32_t kElsewhere = 0xffffffff;
  if (stored_bytes != kElsewhere && begin != kElsewhere) return true;
  LittleBytes in(std::as_bytes(std::span(extra)));
  for (;;) {
    const auto id = in.Number<std::uint16_t>();
    const std::string_view field = in.Text(in.Number<std::uint16_t>());
    if (!in.ok()) return false;
    if (id != 1) continue;
    LittleBytes values(std::as_bytes(std::span(field)));
    if (full_bytes == kElsewhere) values.Skip(8);
    if (stored_bytes == kElsewhere) stored_bytes = values.Number<std::uint64_t>();
    if (begin == kElsewhere) begin = values.Number<std::uint64_t>();
    return values.ok();
  }
}

/// The next entry of the directory; nullopt when it is none, or not before `limit` in the file.
std::optional<Entry> ReadEntry(LittleBytes& in, std::uint64_t limit) {
  const bool magic = in.Number<std::uint32_t>() == kCentral;
  in.Skip(2 + 2 + 2 + 2 + 4 + 4);  // Versions, flags, method, time, sum.
  std::uint64_t stored_bytes = in.Number<std::uint32_t>();
  const auto full_bytes = in.Number<std::uint32_t>();
  const auto name_bytes = in.Number<std::uint16_t>();
  const auto extra_bytes = in.Number<std::uint16_t>();
  const auto comment_bytes = in.Number<std::uint16_t>();
  in.Skip(2 + 2 + 4);  // Disk, attributes.
  std::uint64_t begin = in.Number<std::uint32_t>();
  in.Skip(name_bytes);
  const std::string_view extra = in.Text(extra_bytes);
  in.Skip(comment_bytes);
  if (!in.ok() || !magic || !ReadExtra(extra, full_bytes, stored_bytes, begin)) {
    return std::nullopt;
  }
  const std::uint64_t header_bytes = kLocalBytes + name_bytes;
  if (begin > limit || header_bytes > limit - begin ||
      stored_bytes > limit - begin - header_bytes) {
    return std::nullopt;
  }
  return Entry{.begin = begin, .size_bytes = header_bytes + stored_bytes};
}

}  // namespace

LayoutStep ZipLayout::Begin() {
  if (size_bytes_ < kMagicBytes + kEndBytes) return LayoutDoubt{"shorter than a zip archive"};
  return LayoutNeed{{0, kMagicBytes}};
}

LayoutStep ZipLayout::Feed(std::span<const std::byte> bytes) {
  switch (stage_) {
    case Stage::kMagic: return ReadMagic(bytes);
    case Stage::kEnd: return ReadEnd(bytes);
    case Stage::kDirectory: break;
  }
  if (bytes.size() != tail_begin_ - directory_.begin) return LayoutDoubt{"not what was asked for"};
  std::vector<std::byte> whole(bytes.begin(), bytes.end());
  whole.insert(whole.end(), tail_.begin(), tail_.end());
  return ReadDirectory(whole);
}

LayoutStep ZipLayout::ReadMagic(std::span<const std::byte> bytes) {
  if (LittleBytes(bytes).Number<std::uint32_t>() != kLocal) return LayoutDoubt{"no zip archive"};
  stage_ = Stage::kEnd;
  tail_begin_ = size_bytes_ - std::min(size_bytes_ - kMagicBytes, kTailBytes);
  return LayoutNeed{{tail_begin_, size_bytes_}};
}

LayoutStep ZipLayout::ReadEnd(std::span<const std::byte> tail) {
  if (tail.size() != size_bytes_ - tail_begin_) return LayoutDoubt{"not what was asked for"};
  auto end = FindEnd(tail, tail_begin_);
  if (end) end = FindEnd64(tail, tail_begin_, *end);
  if (!end) return LayoutDoubt{"a zip archive without an end"};
  if (end->directory_begin < kMagicBytes || end->directory_begin > end->directory_end ||
      end->directory_bytes != end->directory_end - end->directory_begin) {
    return LayoutDoubt{"a zip directory that is elsewhere"};
  }
  if (end->entries > kMostLayoutParts || end->directory_bytes / kCentralBytes < end->entries ||
      end->directory_bytes > kMostLayoutBytes - kMagicBytes - kTailBytes) {
    return LayoutDoubt{fmt::format("a zip directory of {} entries in {} bytes", end->entries,
                                   end->directory_bytes)};
  }
  entries_ = end->entries;
  directory_ = {end->directory_begin, end->directory_end};
  if (directory_.begin >= tail_begin_) {
    return ReadDirectory(tail.subspan(static_cast<std::size_t>(directory_.begin - tail_begin_),
                                      static_cast<std::size_t>(directory_.size())));
  }
  stage_ = Stage::kDirectory;
  tail_.assign(tail.begin(),
               tail.begin() + static_cast<std::ptrdiff_t>(directory_.end - tail_begin_));
  return LayoutNeed{{directory_.begin, tail_begin_}};
}

LayoutStep ZipLayout::ReadDirectory(std::span<const std::byte> directory) const {
  std::vector<Entry> entries;
  entries.reserve(static_cast<std::size_t>(entries_));
  LittleBytes in(directory);
  for (std::uint64_t i = 0; i < entries_; ++i) {
    const auto entry = ReadEntry(in, directory_.begin);
    if (!entry) return LayoutDoubt{fmt::format("entry {} of the zip directory is broken", i)};
    entries.push_back(*entry);
  }
  if (in.taken() != directory.size()) return LayoutDoubt{"a zip directory with more than entries"};
  std::ranges::sort(entries, {}, &Entry::begin);
  std::vector<ByteRange> parts;
  parts.reserve(entries.size() + 1);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    const std::uint64_t next = i + 1 < entries.size() ? entries[i + 1].begin : directory_.begin;
    const std::uint64_t room = next - entry.begin;
    if (entry.size_bytes > room) return LayoutDoubt{"zip entries overlap"};
    parts.push_back(ByteRange::At(entry.begin, std::min(room, entry.size_bytes + kMostExtraBytes)));
  }
  parts.push_back({directory_.begin, size_bytes_});
  return MakeLayout(std::move(parts), size_bytes_);
}

}  // namespace modelfs::index
