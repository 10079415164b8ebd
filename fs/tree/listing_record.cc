#include "fs/tree/listing_record.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cstring>
#include <optional>

namespace modelfs::fs {
namespace {

using std::chrono::system_clock;

constexpr std::string_view kListingMagic = "MFL1";
constexpr std::string_view kStampMagic = "MFT1";
constexpr std::size_t kMagicKind = 3;  // Bytes before the version.
constexpr std::size_t kChecksumBytes = 8;
/// A kind, the length of a name, and at least one byte of it.
constexpr std::size_t kLeastEntryBytes = 3;

void PutFixed(std::string& out, std::uint64_t number) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(number >> shift));
}

void PutVarint(std::string& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out.push_back(static_cast<char>(number | 0x80));
  out.push_back(static_cast<char>(number));
}

void PutText(std::string& out, std::string_view text) {
  PutVarint(out, text.size());
  out.append(text);
}

std::uint64_t ZigZag(std::int64_t number) {
  return (static_cast<std::uint64_t>(number) << 1) ^ static_cast<std::uint64_t>(number >> 63);
}
std::int64_t UnZigZag(std::uint64_t number) {
  return static_cast<std::int64_t>(number >> 1) ^ -static_cast<std::int64_t>(number & 1);
}

std::uint64_t GetFixed(std::string_view eight) {
  std::uint64_t number = 0;
  for (int i = 7; i >= 0; --i) number = number << 8 | static_cast<unsigned char>(eight[i]);
  return number;
}

/// Reads what the above wrote; once something is wrong, everything is.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t Varint() {
    std::uint64_t number = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return number;
    }
    bad_ = true;
    return 0;
  }
  std::string_view Text() {
    const std::uint64_t bytes = Varint();
    if (bad_ || bytes > rest_.size()) {
      bad_ = true;
      return {};
    }
    const std::string_view text = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return text;
  }
  bool bad() const { return bad_; }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool bad_ = false;
};

std::unexpected<Error> Corrupt(std::string_view what) {
  return Fail(Errc::kCorrupt, fmt::format("kept listing: {}", what));
}

/// The content between magic and checksum.
Result<std::string_view> Open(std::string_view bytes, std::string_view magic) {
  if (bytes.size() < magic.size() + kChecksumBytes ||
      !bytes.starts_with(magic.substr(0, kMagicKind))) {
    return Corrupt("is none");
  }
  if (!bytes.starts_with(magic)) {
    return Fail(Errc::kInvalid,
                fmt::format("kept listing: of version '{}', this program knows '{}'",
                            bytes[kMagicKind], magic[kMagicKind]));
  }
  const std::string_view checked = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (XXH3_64bits(checked.data(), checked.size()) != GetFixed(bytes.substr(checked.size()))) {
    return Corrupt("its checksum does not fit");
  }
  return checked.substr(magic.size());
}

std::optional<fetch::Entry> ReadEntry(Reader& reader) {
  using Kind = fetch::Entry::Kind;
  fetch::Entry entry;
  const std::uint64_t kind = reader.Varint();
  entry.kind = kind == 0 ? Kind::kFile : Kind::kDirectory;
  entry.name = reader.Text();
  entry.modified = system_clock::time_point(system_clock::duration(UnZigZag(reader.Varint())));
  if (entry.kind == Kind::kFile) {
    entry.size_bytes = reader.Varint();
    entry.tag = reader.Text();
  }
  if (reader.bad() || kind > 1 || entry.name.empty() || entry.name.contains('/')) {
    return std::nullopt;
  }
  return entry;
}

}  // namespace

std::string EncodeListing(const fetch::Listing& listing) {
  std::string out(kListingMagic);
  std::size_t bytes = 32;
  for (const auto& entry : listing.entries) bytes += entry.name.size() + entry.tag.size() + 24;
  out.reserve(bytes);
  PutVarint(out, listing.entries.size());
  for (const auto& entry : listing.entries) {
    const bool is_file = entry.kind == fetch::Entry::Kind::kFile;
    PutVarint(out, is_file ? 0 : 1);
    PutText(out, entry.name);
    PutVarint(out, ZigZag(entry.modified.time_since_epoch().count()));
    if (!is_file) continue;
    PutVarint(out, entry.size_bytes);
    PutText(out, entry.tag);
  }
  PutFixed(out, XXH3_64bits(out.data(), out.size()));
  return out;
}

Result<fetch::Listing> DecodeListing(std::string_view bytes) {
  auto content = Open(bytes, kListingMagic);
  if (!content) return std::unexpected(content.error());
  Reader reader(*content);
  const std::uint64_t count = reader.Varint();
  if (reader.bad() || count > reader.left() / kLeastEntryBytes) return Corrupt("too short");
  fetch::Listing listing;
  listing.entries.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    auto entry = ReadEntry(reader);
    if (!entry) return Corrupt(fmt::format("entry {} makes no sense", i));
    listing.entries.push_back(*std::move(entry));
  }
  if (reader.left() != 0) return Corrupt("too long");
  return listing;
}

std::uint64_t ListingChecksum(std::string_view encoded) {
  return encoded.size() < kChecksumBytes
             ? 0
             : GetFixed(encoded.substr(encoded.size() - kChecksumBytes));
}

std::string ListingStamp::Encode() const {
  std::string out(kStampMagic);
  PutFixed(out, static_cast<std::uint64_t>(listed_at.time_since_epoch().count()));
  PutFixed(out, checksum);
  PutFixed(out, XXH3_64bits(out.data(), out.size()));
  return out;
}

Result<ListingStamp> ListingStamp::Decode(std::string_view bytes) {
  auto content = Open(bytes, kStampMagic);
  if (!content) return std::unexpected(content.error());
  if (content->size() != 16) return Corrupt("its stamp has a wrong length");
  const auto ticks = static_cast<std::int64_t>(GetFixed(content->substr(0, 8)));
  return ListingStamp{.listed_at = system_clock::time_point(system_clock::duration(ticks)),
                      .checksum = GetFixed(content->substr(8))};
}

}  // namespace modelfs::fs
