#include "index/index_record.h"

#include <cstring>

namespace modelfs::index {
namespace {

struct FixedObject {
  std::uint64_t serial;
  std::uint64_t size;
  std::uint64_t chunk_size;
  std::uint64_t present_chunks;
  std::uint64_t present_bytes;
  std::int64_t last_use;
  std::uint32_t flags;
  std::uint32_t lengths[4];
  std::uint32_t reserved;
  std::uint64_t allocated;  ///< Not in format 1.
};
static_assert(sizeof(FixedObject) == 80);
constexpr std::size_t kFixedOfFormat1 = offsetof(FixedObject, allocated);
static_assert(kFixedOfFormat1 == 72);

constexpr std::uint32_t kDirty = 1;
constexpr std::uint32_t kPinned = 2;
constexpr std::uint32_t kVerifiedShift = 8;

void StoreBigEndian(std::byte* out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<std::byte>(value >> (56 - 8 * i));
}

}  // namespace

std::array<std::byte, 16> GroupKey(std::uint64_t serial, std::uint64_t group) {
  std::array<std::byte, 16> key{};
  StoreBigEndian(key.data(), serial);
  StoreBigEndian(key.data() + 8, group);
  return key;
}

std::vector<std::byte> EncodeObject(const ObjectRecord& record) {
  const std::array<const std::string*, 4> texts{&record.id.domain, &record.id.source,
                                                &record.id.key, &record.id.tag};
  FixedObject fixed{};
  fixed.serial = record.serial;
  fixed.size = record.id.size_bytes;
  fixed.chunk_size = record.chunk_size_bytes;
  fixed.present_chunks = record.present_chunks;
  fixed.present_bytes = record.present_bytes;
  fixed.last_use = record.last_use;
  fixed.allocated = record.allocated_bytes;
  fixed.flags = (record.dirty ? kDirty : 0) | (record.pinned ? kPinned : 0) |
                (static_cast<std::uint32_t>(record.verified) << kVerifiedShift);
  std::size_t size = sizeof fixed;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    fixed.lengths[i] = static_cast<std::uint32_t>(texts[i]->size());
    size += texts[i]->size();
  }
  std::vector<std::byte> bytes(size);
  std::memcpy(bytes.data(), &fixed, sizeof fixed);
  std::size_t at = sizeof fixed;
  for (const std::string* text : texts) {
    std::memcpy(bytes.data() + at, text->data(), text->size());
    at += text->size();
  }
  return bytes;
}

namespace {

/// `fixed_size`: how much of FixedObject is there.
std::optional<ObjectRecord> Decode(std::span<const std::byte> bytes, std::size_t fixed_size) {
  FixedObject fixed{};
  if (bytes.size() < fixed_size) return std::nullopt;
  std::memcpy(&fixed, bytes.data(), fixed_size);
  bytes = bytes.subspan(fixed_size);
  ObjectRecord record;
  const std::array<std::string*, 4> texts{&record.id.domain, &record.id.source, &record.id.key,
                                          &record.id.tag};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (bytes.size() < fixed.lengths[i]) return std::nullopt;
    texts[i]->assign(reinterpret_cast<const char*>(bytes.data()), fixed.lengths[i]);
    bytes = bytes.subspan(fixed.lengths[i]);
  }
  record.id.size_bytes = fixed.size;
  record.serial = fixed.serial;
  record.chunk_size_bytes = fixed.chunk_size;
  record.present_chunks = fixed.present_chunks;
  record.present_bytes = fixed.present_bytes;
  record.last_use = fixed.last_use;
  record.allocated_bytes = fixed.allocated;
  record.dirty = (fixed.flags & kDirty) != 0;
  record.pinned = (fixed.flags & kPinned) != 0;
  record.verified = static_cast<Verified>((fixed.flags >> kVerifiedShift) & 3);
  return record;
}

}  // namespace

std::optional<ObjectRecord> DecodeObject(std::span<const std::byte> bytes) {
  return Decode(bytes, sizeof(FixedObject));
}

std::optional<ObjectRecord> DecodeObjectOfFormat1(std::span<const std::byte> bytes) {
  return Decode(bytes, kFixedOfFormat1);
}

}  // namespace modelfs::index
