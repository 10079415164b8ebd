#include "index/access_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace modelfs::index {
namespace {

constexpr std::string_view kMagic = "MFSPROF1";
/// Less than so much is read soon enough without a plan.
constexpr std::uint64_t kLeastBytes = 4u << 20;

void Put(std::string& out, std::uint64_t number) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(number >> shift));
}

std::uint64_t Take(std::string_view& in) {
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) {
    number |= std::uint64_t{static_cast<unsigned char>(in[static_cast<std::size_t>(i)])} << 8 * i;
  }
  in.remove_prefix(8);
  return number;
}

}  // namespace

std::uint64_t AccessProfile::bytes() const {
  std::uint64_t sum = 0;
  for (const ByteRange& range : ranges) sum += range.size();
  return sum;
}

std::string AccessProfile::Encode() const {
  std::string out(kMagic);
  Put(out, object_bytes);
  Put(out, ranges.size());
  for (const ByteRange& range : ranges) {
    Put(out, range.begin);
    Put(out, range.size());
  }
  return out;
}

std::optional<AccessProfile> AccessProfile::Decode(std::string_view bytes) {
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + 16) return std::nullopt;
  bytes.remove_prefix(kMagic.size());
  AccessProfile profile;
  profile.object_bytes = Take(bytes);
  const std::uint64_t count = Take(bytes);
  if (count > kMostRanges || bytes.size() != count * 16) return std::nullopt;
  std::uint64_t left = profile.object_bytes;  // Ranges are disjoint.
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t begin = Take(bytes);
    const std::uint64_t size = Take(bytes);
    const bool within = size > 0 && size <= left && begin <= profile.object_bytes - size;
    if (!within) return std::nullopt;
    left -= size;
    profile.ranges.push_back(ByteRange::At(begin, size));
  }
  return profile;
}

std::string AccessProfile::KeyOf(const fetch::ObjectId& id) {
  return fmt::format("o{}", id.Digest());
}

std::string AccessProfile::LayoutKeyOf(const fetch::ObjectId& id) {
  return fmt::format("l{}\n{}\n{}", id.domain, id.size_bytes, NameOf(id));
}

std::string AccessProfile::SharedKeyOf(std::string_view name, std::uint64_t size_bytes) {
  return fmt::format("s{}\n{}", size_bytes, name);
}

std::string_view AccessProfile::NameOf(const fetch::ObjectId& id) {
  const std::string_view key = id.key;
  const std::size_t slash = key.rfind('/');
  return slash == std::string_view::npos ? key : key.substr(slash + 1);
}

std::optional<AccessProfile> AccessProfile::Find(const RecordStore& records,
                                                 const fetch::ObjectId& id) {
  for (const std::string& key :
       {KeyOf(id), LayoutKeyOf(id), SharedKeyOf(NameOf(id), id.size_bytes)}) {
    const auto value = records.Get(RecordKind::kProfile, key);
    auto profile = value ? Decode(*value) : std::nullopt;
    if (profile && profile->object_bytes == id.size_bytes) return profile;
  }
  return std::nullopt;
}

ProfileRecorder::ProfileRecorder(std::uint64_t object_bytes, std::uint64_t chunk_bytes)
    : object_bytes_(object_bytes),
      chunk_bytes_(chunk_bytes),
      blocks_((object_bytes / kBlockBytes + 64) / 64),
      first_((object_bytes + chunk_bytes - 1) / chunk_bytes) {}

void ProfileRecorder::Note(ByteRange read) {
  read = read.Intersect({0, object_bytes_});
  if (read.empty()) return;
  const std::uint64_t last_block = (read.end - 1) / kBlockBytes;
  for (std::uint64_t block = read.begin / kBlockBytes; block <= last_block; ++block) {
    blocks_[block / 64] |= std::uint64_t{1} << block % 64;
  }
  ++clock_;
  const std::uint64_t last_chunk = (read.end - 1) / chunk_bytes_;
  for (std::uint64_t chunk = read.begin / chunk_bytes_; chunk <= last_chunk; ++chunk) {
    if (first_[chunk] == 0) first_[chunk] = clock_;
  }
}

std::vector<ProfileRecorder::Ordered> ProfileRecorder::ByParts(
    const std::vector<ByteRange>& parts) const {
  std::vector<Ordered> ordered;
  for (const ByteRange& part : parts) {
    std::uint64_t touched = 0;
    std::uint64_t blocks = 0;
    for (std::uint64_t b = part.begin / kBlockBytes; b <= (part.end - 1) / kBlockBytes; ++b) {
      ++blocks;
      touched += Touched(b) ? 1 : 0;
    }
    // When it was wanted shows at its middle: its ends share chunks and blocks with others.
    const std::uint32_t when = first_[(part.begin + part.size() / 2) / chunk_bytes_];
    if (2 * touched > blocks && when != 0) ordered.push_back({when, part});
  }
  return ordered;
}

std::vector<ProfileRecorder::Ordered> ProfileRecorder::ByChunks() const {
  std::vector<Ordered> ordered;
  for (std::uint64_t chunk = 0; chunk < first_.size(); ++chunk) {
    if (first_[chunk] == 0) continue;
    const std::uint64_t begin = chunk * chunk_bytes_;
    ordered.push_back({first_[chunk], {begin, std::min(object_bytes_, begin + chunk_bytes_)}});
  }
  return ordered;
}

std::optional<AccessProfile> ProfileRecorder::Profile(const std::vector<ByteRange>& parts) const {
  std::vector<Ordered> ordered = ByChunks();
  if (!parts.empty()) {
    std::vector<Ordered> wanted = ByParts(parts);
    std::uint64_t bytes = 0;
    for (const Ordered& part : wanted) bytes += part.range.size();
    // Otherwise it goes through parts in slices, as a rank of a tensor-parallel load does.
    if (2 * bytes > ordered.size() * chunk_bytes_) ordered = std::move(wanted);
  }
  std::sort(ordered.begin(), ordered.end(), [](const Ordered& a, const Ordered& b) {
    return std::pair(a.when, a.range.begin) < std::pair(b.when, b.range.begin);
  });
  AccessProfile profile{.object_bytes = object_bytes_, .ranges = {}};
  for (const Ordered& next : ordered) {
    if (!profile.ranges.empty() && profile.ranges.back().end == next.range.begin) {
      profile.ranges.back().end = next.range.end;
    } else if (profile.ranges.size() < AccessProfile::kMostRanges) {
      profile.ranges.push_back(next.range);
    }
  }
  if (profile.bytes() < kLeastBytes) return std::nullopt;
  return profile;
}

}  // namespace modelfs::index
