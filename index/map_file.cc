#include "index/map_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

namespace modelfs::index {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::array<char, 8> kMagic{'M', 'F', 'S', 'M', 'A', 'P', '\r', '\n'};
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kMaxHeader = std::size_t{1} << 20;

struct FixedHeader {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t record_size;
  std::uint64_t checksum;  ///< XXH3-64 of the whole header with this field zero.
  std::uint64_t header_size;
  std::uint64_t chunk_size;
  std::uint64_t object_size;
};
static_assert(sizeof(FixedHeader) == 48);

struct FixedRecord {
  std::uint64_t xxh3;
  std::uint64_t crc64nvme;
  std::uint32_t crc32;
  std::uint32_t crc32c;
  std::uint32_t flags;
  std::uint32_t reserved;
  std::uint64_t boot_hash;
  std::array<std::uint64_t, 2> reserved2;
  std::uint64_t checksum;  ///< XXH3-64 of what is before it, seeded with object and index.
};
constexpr std::size_t kSealed = offsetof(FixedRecord, checksum);
static_assert(sizeof(FixedRecord) == MapFile::kRecordSize);

void PutString(std::vector<std::byte>& out, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  const auto* bytes = reinterpret_cast<const std::byte*>(&size);
  out.insert(out.end(), bytes, bytes + sizeof size);
  bytes = reinterpret_cast<const std::byte*>(text.data());
  out.insert(out.end(), bytes, bytes + text.size());
}

bool TakeString(std::span<const std::byte>& in, std::string& text) {
  std::uint32_t size = 0;
  if (in.size() < sizeof size) return false;
  std::memcpy(&size, in.data(), sizeof size);
  in = in.subspan(sizeof size);
  if (in.size() < size) return false;
  text.assign(reinterpret_cast<const char*>(in.data()), size);
  in = in.subspan(size);
  return true;
}

std::uint64_t HeaderChecksum(std::vector<std::byte> header) {
  std::memset(header.data() + offsetof(FixedHeader, checksum), 0, sizeof(std::uint64_t));
  return XXH3_64bits(header.data(), header.size());
}

std::vector<std::byte> EncodeHeader(const MapFile::Header& header) {
  std::vector<std::byte> bytes(sizeof(FixedHeader));
  PutString(bytes, header.id.domain);
  PutString(bytes, header.id.source);
  PutString(bytes, header.id.key);
  PutString(bytes, header.id.tag);
  bytes.resize((bytes.size() + kPage - 1) / kPage * kPage);
  FixedHeader fixed{kMagic,
                    kVersion,
                    MapFile::kRecordSize,
                    0,
                    bytes.size(),
                    header.chunk_size_bytes,
                    header.id.size_bytes};
  std::memcpy(bytes.data(), &fixed, sizeof fixed);
  fixed.checksum = HeaderChecksum(bytes);
  std::memcpy(bytes.data(), &fixed, sizeof fixed);
  return bytes;
}

/// How much could be read; less only at the end of the file. Nullopt, with errno, for a failure.
std::optional<std::size_t> ReadFully(int fd, std::uint64_t offset, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n =
        ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  errno = 0;
  return done;
}

/// False at any sign of damage, which leaves no errno, and where it cannot be read.
bool ReadHeader(int fd, MapFile::Header& header) {
  FixedHeader fixed{};
  if (ReadFully(fd, 0, std::as_writable_bytes(std::span(&fixed, 1))) != sizeof fixed) return false;
  if (fixed.magic != kMagic || fixed.version != kVersion) return false;
  if (fixed.record_size != MapFile::kRecordSize) return false;
  if (fixed.header_size < kPage || fixed.header_size > kMaxHeader) return false;
  if (fixed.header_size % kPage != 0 || !std::has_single_bit(fixed.chunk_size)) return false;
  std::vector<std::byte> bytes(fixed.header_size);
  if (ReadFully(fd, 0, bytes) != bytes.size()) return false;
  if (HeaderChecksum(bytes) != fixed.checksum) return false;
  header.size_bytes = fixed.header_size;
  header.chunk_size_bytes = fixed.chunk_size;
  header.id.size_bytes = fixed.object_size;
  std::span<const std::byte> rest = std::span(bytes).subspan(sizeof fixed);
  return TakeString(rest, header.id.domain) && TakeString(rest, header.id.source) &&
         TakeString(rest, header.id.key) && TakeString(rest, header.id.tag);
}

}  // namespace

MapFile::MapFile(Fd fd, Header header) : fd_(std::move(fd)), header_(std::move(header)) {
  const std::string digest = header_.id.Digest();
  seed_ = XXH3_64bits(digest.data(), digest.size());
}

Result<MapFile> MapFile::Open(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return FailErrno(errno, fmt::format("open {}", path.string()));
  Header header;
  if (!ReadHeader(fd.get(), header)) {
    if (errno != 0) return FailErrno(errno, fmt::format("read {}", path.string()));
    return Fail(Errc::kCorrupt, fmt::format("{}: damaged header", path.string()));
  }
  return MapFile(std::move(fd), std::move(header));
}

Result<MapFile> MapFile::Create(const std::filesystem::path& path, const fetch::ObjectId& id,
                                std::uint64_t chunk_size_bytes) {
  const std::string temporary = path.string() + ".new";
  Fd fd(::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return FailErrno(errno, fmt::format("create {}", temporary));
  Header header{.id = id, .chunk_size_bytes = chunk_size_bytes, .size_bytes = 0};
  const std::vector<std::byte> bytes = EncodeHeader(header);
  if (bytes.size() > kMaxHeader) return Fail(Errc::kInvalid, "identity too long for a map file");
  header.size_bytes = bytes.size();
  const std::uint64_t chunks = (id.size_bytes + chunk_size_bytes - 1) / chunk_size_bytes;
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        ::pwrite(fd.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return FailErrno(n < 0 ? errno : ENOSPC, fmt::format("write {}", temporary));
    done += static_cast<std::size_t>(n);
  }
  const auto length = static_cast<off_t>(header.size_bytes + chunks * kRecordSize);
  if (::ftruncate(fd.get(), length) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    return FailErrno(errno, fmt::format("create {}", path.string()));
  }
  return MapFile(std::move(fd), std::move(header));
}

std::uint64_t MapFile::Seal(std::uint64_t index, std::span<const std::byte> bytes) const {
  return XXH3_64bits_withSeed(bytes.data(), kSealed, seed_ + index * 0x9E3779B97F4A7C15ull);
}

MapFile::EncodedRecord MapFile::Encode(std::uint64_t index, const MapRecord& record) const {
  FixedRecord fixed{.xxh3 = record.xxh3,
                    .crc64nvme = record.crc64nvme,
                    .crc32 = record.crc32,
                    .crc32c = record.crc32c,
                    .flags = record.flags,
                    .reserved = 0,
                    .boot_hash = record.boot_hash,
                    .reserved2 = {},
                    .checksum = 0};
  EncodedRecord bytes{};
  std::memcpy(bytes.data(), &fixed, sizeof fixed);
  fixed.checksum = Seal(index, bytes);
  std::memcpy(bytes.data(), &fixed, sizeof fixed);
  return bytes;
}

bool MapFile::Decode(std::uint64_t index, std::span<const std::byte> bytes,
                     MapRecord& record) const {
  FixedRecord fixed{};
  std::memcpy(&fixed, bytes.data(), sizeof fixed);
  if ((fixed.flags & MapRecord::kPresent) == 0) return false;
  if (fixed.checksum != Seal(index, bytes)) return false;
  record = {.xxh3 = fixed.xxh3,
            .crc64nvme = fixed.crc64nvme,
            .crc32 = fixed.crc32,
            .crc32c = fixed.crc32c,
            .flags = fixed.flags,
            .boot_hash = fixed.boot_hash};
  return true;
}

std::int64_t MapFile::LastWritten() const {
  struct stat info{};
  return ::fstat(fd_.get(), &info) == 0 ? info.st_mtim.tv_sec : 0;
}

Result<void> MapFile::ReadAll(
    const std::function<void(std::uint64_t index, const MapRecord& record)>& each) const {
  const std::uint64_t chunks =
      (header_.id.size_bytes + header_.chunk_size_bytes - 1) / header_.chunk_size_bytes;
  std::vector<std::byte> block(kRecordSize * 4096);
  MapRecord record;
  for (std::uint64_t index = 0; index < chunks;) {
    const std::size_t wanted =
        std::min<std::uint64_t>(block.size(), (chunks - index) * kRecordSize);
    const auto n = ReadFully(fd_.get(), OffsetOf(index), std::span(block).first(wanted));
    if (!n) return FailErrno(errno, "read map");
    const std::size_t records = *n / kRecordSize;
    if (records == 0) break;
    for (std::size_t i = 0; i < records; ++i, ++index) {
      const auto bytes = std::span(block).subspan(i * kRecordSize, kRecordSize);
      if (Decode(index, bytes, record)) each(index, record);
    }
  }
  return {};
}

}  // namespace modelfs::index
