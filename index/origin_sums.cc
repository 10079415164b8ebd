#include "index/origin_sums.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>

#include "fetch/base/handle.h"
#include "index/crc.h"

namespace modelfs::index {
namespace {

using Kind = fetch::ChecksumKind;
using Published = fetch::PublishedChecksum;
using EvpContext = Handle<EVP_MD_CTX, EVP_MD_CTX_free>;

// In the order in which they are preferred.
constexpr std::array kCrcs{Kind::kCrc64Nvme, Kind::kCrc32c, Kind::kCrc32};
constexpr std::array kHashes{Kind::kSha256, Kind::kSha1, Kind::kMd5};

std::string NameOf(Kind kind) {
  switch (kind) {
    case Kind::kCrc64Nvme: return "crc64nvme";
    case Kind::kCrc32: return "crc32";
    case Kind::kCrc32c: return "crc32c";
    case Kind::kSha1: return "sha1";
    case Kind::kSha256: return "sha256";
    case Kind::kMd5: return "md5";
  }
  return "";
}

const EVP_MD* DigestOf(Kind kind) {
  switch (kind) {
    case Kind::kSha1: return EVP_sha1();
    case Kind::kSha256: return EVP_sha256();
    case Kind::kMd5: return EVP_md5();
    default: return nullptr;
  }
}

std::size_t LengthOf(Kind kind) {
  switch (kind) {
    case Kind::kCrc64Nvme: return 8;
    case Kind::kCrc32:
    case Kind::kCrc32c: return 4;
    case Kind::kSha1: return 20;
    case Kind::kSha256: return 32;
    case Kind::kMd5: return 16;
  }
  return 0;
}

/// The sum as origins write it, most significant byte first.
std::string BigEndian(std::uint64_t value, std::size_t length) {
  std::string out(length, '\0');
  for (std::size_t i = 0; i < length; ++i) {
    out[i] = static_cast<char>(value >> (8 * (length - 1 - i)));
  }
  return out;
}

/// Calls `each` with the bytes of `range`, in pieces; false when a chunk cannot be read.
bool ReadBack(const OriginSums::Object& object, ByteRange range,
              const std::function<void(std::span<const std::byte>)>& each) {
  std::vector<std::byte> bytes;
  for (std::uint64_t at = range.begin; at < range.end;) {
    const std::uint64_t chunk = at / object.chunk_bytes;
    const std::uint64_t begin = chunk * object.chunk_bytes;
    if (!object.read(chunk, bytes)) return false;
    const std::uint64_t end = std::min(range.end, begin + bytes.size());
    if (end <= at) return false;
    each(std::span(bytes).subspan(at - begin, end - at));
    at = end;
  }
  return true;
}

std::optional<std::uint64_t> CrcOf(const OriginSums::Object& object, Kind kind, ByteRange range) {
  std::uint64_t crc = 0;  // Of nothing.
  const auto append = [&](std::uint64_t more, std::uint64_t length) {
    crc = CrcJoin(kind, length)(crc, more);
  };
  const CrcJoin whole_chunk(kind, object.chunk_bytes);
  for (std::uint64_t at = range.begin; at < range.end;) {
    const std::uint64_t chunk = at / object.chunk_bytes;
    const std::uint64_t begin = chunk * object.chunk_bytes;
    const std::uint64_t end = std::min(begin + object.chunk_bytes, object.size_bytes);
    const auto kept = object.sums(chunk).Get(kind);
    if (at == begin && end <= range.end && kept) {
      if (end - begin == object.chunk_bytes) {
        crc = whole_chunk(crc, *kept);
      } else {
        append(*kept, end - begin);
      }
    } else {
      const ByteRange part{at, std::min(end, range.end)};
      const bool read = ReadBack(object, part, [&](std::span<const std::byte> bytes) {
        append(Crc::Of(kind, bytes), bytes.size());
      });
      if (!read) return std::nullopt;
    }
    at = std::min(end, range.end);
  }
  return crc;
}

std::optional<std::string> ValueOf(const OriginSums::Object& object, Kind kind, ByteRange range) {
  if (Crc::IsCrc(kind)) {
    const auto crc = CrcOf(object, kind, range);
    if (!crc) return std::nullopt;
    return BigEndian(*crc, LengthOf(kind));
  }
  const EvpContext context(EVP_MD_CTX_new());
  if (!context || EVP_DigestInit_ex(context.get(), DigestOf(kind), nullptr) != 1) {
    return std::nullopt;
  }
  const bool read = ReadBack(object, range, [&](std::span<const std::byte> bytes) {
    EVP_DigestUpdate(context.get(), bytes.data(), bytes.size());
  });
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (!read || EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(digest.data()), length);
}

/// Sums of one kind that cover the object: the one of the whole, or parts in order without gap.
std::vector<const Published*> Covering(const fetch::PublishedChecksums& published, Kind kind,
                                       std::uint64_t size, bool parts) {
  std::vector<const Published*> covering;
  for (const Published& p : published) {
    if (p.kind != kind || p.value.size() != LengthOf(kind)) continue;
    const bool whole = p.range == ByteRange{0, size};
    if (whole && !parts) return {&p};
    if (!whole && parts) covering.push_back(&p);
  }
  std::sort(covering.begin(), covering.end(),
            [](const Published* a, const Published* b) { return a->range.begin < b->range.begin; });
  std::uint64_t at = 0;
  for (const Published* p : covering) {
    if (p->range.begin != at || p->range.empty()) return {};
    at = p->range.end;
  }
  if (at != size) covering.clear();
  return covering;
}

OriginSums::Outcome CompareEach(const OriginSums::Object& object,
                                const std::vector<const Published*>& sums) {
  OriginSums::Outcome outcome{.verdict = OriginSums::Verdict::kEqual,
                              .kind = NameOf(sums.front()->kind)};
  for (const Published* p : sums) {
    const auto value = ValueOf(object, p->kind, p->range);
    if (!value) return {.verdict = OriginSums::Verdict::kUnknown};
    if (*value == p->value) continue;
    outcome.verdict = OriginSums::Verdict::kDifferent;
    outcome.bad.push_back(p->range);
  }
  for (ByteRange& range : outcome.bad) {
    range.begin -= range.begin % object.chunk_bytes;
    range.end = std::min(object.size_bytes, (range.end + object.chunk_bytes - 1) /
                                                object.chunk_bytes * object.chunk_bytes);
  }
  return outcome;
}

}  // namespace

std::uint32_t ChunkSums::FlagOf(Kind kind) {
  switch (kind) {
    case Kind::kCrc64Nvme: return MapRecord::kCrc64Nvme;
    case Kind::kCrc32: return MapRecord::kCrc32;
    case Kind::kCrc32c: return MapRecord::kCrc32c;
    default: return 0;
  }
}

ChunkSums ChunkSums::Of(std::span<const std::byte> bytes, std::uint32_t kinds) {
  ChunkSums sums{.flags = kinds & kAll};
  if ((kinds & MapRecord::kCrc64Nvme) != 0) sums.crc64nvme = Crc::Of(Kind::kCrc64Nvme, bytes);
  if ((kinds & MapRecord::kCrc32) != 0) {
    sums.crc32 = static_cast<std::uint32_t>(Crc::Of(Kind::kCrc32, bytes));
  }
  if ((kinds & MapRecord::kCrc32c) != 0) {
    sums.crc32c = static_cast<std::uint32_t>(Crc::Of(Kind::kCrc32c, bytes));
  }
  return sums;
}

std::optional<std::uint64_t> ChunkSums::Get(Kind kind) const {
  const std::uint32_t flag = FlagOf(kind);
  if (flag == 0 || (flags & flag) == 0) return std::nullopt;
  switch (kind) {
    case Kind::kCrc64Nvme: return crc64nvme;
    case Kind::kCrc32: return crc32;
    default: return crc32c;
  }
}

std::uint32_t OriginSums::KindsOf(const fetch::PublishedChecksums& published) {
  std::uint32_t kinds = 0;
  for (const Published& p : published) kinds |= ChunkSums::FlagOf(p.kind);
  return kinds;
}

OriginSums::Outcome OriginSums::Compare(const Object& object,
                                        const fetch::PublishedChecksums& published) {
  const auto covering = [&](Kind kind, bool parts) {
    return Covering(published, kind, object.size_bytes, parts);
  };
  for (const Kind kind : kCrcs) {
    const auto whole = covering(kind, false);
    if (whole.empty()) continue;
    Outcome outcome = CompareEach(object, whole);
    if (outcome.verdict != Verdict::kDifferent) return outcome;
    // Which part is it?
    for (const Kind part_kind : kCrcs) {
      const auto parts = covering(part_kind, true);
      if (parts.empty()) continue;
      Outcome narrowed = CompareEach(object, parts);
      if (narrowed.verdict == Verdict::kDifferent) return narrowed;
    }
    return outcome;
  }
  for (const Kind kind : kCrcs) {
    if (const auto sums = covering(kind, true); !sums.empty()) return CompareEach(object, sums);
  }
  for (const bool parts : {false, true}) {
    for (const Kind kind : kHashes) {
      if (const auto sums = covering(kind, parts); !sums.empty()) return CompareEach(object, sums);
    }
  }
  return {};
}

}  // namespace modelfs::index
