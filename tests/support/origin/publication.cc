#include "tests/support/origin/publication.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "fetch/base/base64.h"
#include "fetch/base/handle.h"

namespace modelfs::test {
namespace {

using fetch::ChecksumKind;

constexpr std::size_t kPieceBytes = 1 << 20;

/// A reflected CRC that begins and ends with all ones: all of S3's are of this form. Our own, and
/// not the product's: it checks that one.
template <class T>
class Crc {
 public:
  explicit Crc(T reflected_polynomial) {
    for (unsigned i = 0; i < 256; ++i) {
      T value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = (value & 1) != 0 ? (value >> 1) ^ reflected_polynomial : value >> 1;
      }
      table_[i] = value;
    }
  }
  void Add(std::string_view bytes) {
    for (const char c : bytes) {
      value_ = table_[(value_ ^ static_cast<unsigned char>(c)) & 0xff] ^ (value_ >> 8);
    }
  }
  std::string Value() const {
    std::string out;
    for (int shift = static_cast<int>(8 * (sizeof(T) - 1)); shift >= 0; shift -= 8) {
      out.push_back(static_cast<char>(~value_ >> shift));
    }
    return out;
  }

 private:
  std::array<T, 256> table_{};
  T value_ = static_cast<T>(~T{0});
};

class Digest {
 public:
  explicit Digest(ChecksumKind kind) {
    switch (kind) {
      case ChecksumKind::kCrc64Nvme: crc64_.emplace(0x9A6C9329AC4BC9B5u); break;
      case ChecksumKind::kCrc32: crc32_.emplace(0xEDB88320u); break;
      case ChecksumKind::kCrc32c: crc32_.emplace(0x82F63B78u); break;
      case ChecksumKind::kSha1: Begin(EVP_sha1()); break;
      case ChecksumKind::kSha256: Begin(EVP_sha256()); break;
      case ChecksumKind::kMd5: Begin(EVP_md5()); break;
    }
  }
  void Add(std::string_view bytes) {
    if (crc64_) crc64_->Add(bytes);
    if (crc32_) crc32_->Add(bytes);
    if (hash_) EVP_DigestUpdate(hash_.get(), bytes.data(), bytes.size());
  }
  std::string Value() const {
    if (crc64_) return crc64_->Value();
    if (crc32_) return crc32_->Value();
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    EVP_DigestFinal_ex(hash_.get(), out.data(), &size);
    return {reinterpret_cast<const char*>(out.data()), size};
  }

 private:
  void Begin(const EVP_MD* type) {
    hash_.reset(EVP_MD_CTX_new());
    EVP_DigestInit_ex(hash_.get(), type, nullptr);
  }

  std::optional<Crc<std::uint64_t>> crc64_;
  std::optional<Crc<std::uint32_t>> crc32_;
  Handle<EVP_MD_CTX, EVP_MD_CTX_free> hash_;
};

std::string_view Name(ChecksumKind kind) {
  switch (kind) {
    case ChecksumKind::kCrc64Nvme: return "CRC64NVME";
    case ChecksumKind::kCrc32: return "CRC32";
    case ChecksumKind::kCrc32c: return "CRC32C";
    case ChecksumKind::kSha1: return "SHA1";
    case ChecksumKind::kSha256: return "SHA256";
    case ChecksumKind::kMd5: return "MD5";
  }
  return "";
}

Result<std::string> Sum(const OpenObject& object, ChecksumKind kind, ByteRange range) {
  Digest digest(kind);
  std::string buffer(std::min<std::uint64_t>(kPieceBytes, range.size()), '\0');
  for (std::uint64_t at = range.begin; at < range.end;) {
    const auto want = std::min<std::uint64_t>(buffer.size(), range.end - at);
    const auto got = object.ReadAt(at, std::as_writable_bytes(std::span(buffer)).first(want));
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return Fail(Errc::kIo, "the object is shorter than it says");
    digest.Add(std::string_view(buffer).substr(0, *got));
    at += *got;
  }
  return digest.Value();
}

std::string Maybe(bool wrong, std::string value) {
  if (wrong) value.front() = static_cast<char>(value.front() ^ 1);
  return value;
}

std::string Hex(std::string_view bytes) {
  std::string out;
  for (const unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

}  // namespace

std::string ChecksumOf(ChecksumKind kind, std::string_view bytes) {
  Digest digest(kind);
  digest.Add(bytes);
  return digest.Value();
}

Result<PublishedObject> Publish(const OpenObject& object, const Publication& publication) {
  PublishedObject out;
  out.pinned_etag = object.info.etag;
  const std::uint64_t size = object.info.size_bytes;
  const std::uint64_t part_size = publication.part_size_bytes;
  if (part_size > 0) {
    for (std::uint64_t at = 0; at < size; at += part_size) {
      out.parts.push_back({.size_bytes = std::min(part_size, size - at), .checksums = {}});
    }
  }
  bool composite = false;
  for (const ChecksumKind kind : publication.kinds) {
    const auto sum = Sum(object, kind, {0, size});
    if (!sum) return std::unexpected(sum.error());
    if (kind == ChecksumKind::kMd5) {
      out.md5_etag = fmt::format("\"{}\"", Hex(Maybe(publication.wrong, *sum)));
      continue;
    }
    std::string header = fmt::format("x-amz-checksum-{}", Name(kind));
    std::ranges::transform(header, header.begin(), [](unsigned char c) { return std::tolower(c); });
    const std::string element = fmt::format("Checksum{}", Name(kind));
    std::string text = Base64Encode(Maybe(publication.wrong, *sum));
    std::string of_parts;
    std::uint64_t at = 0;
    for (PublishedObject::Part& part : out.parts) {
      const auto part_sum = Sum(object, kind, ByteRange::At(at, part.size_bytes));
      if (!part_sum) return std::unexpected(part_sum.error());
      at += part.size_bytes;
      const std::string value = Maybe(publication.wrong, *part_sum);
      of_parts += value;
      part.checksums.emplace_back(element, Base64Encode(value));
    }
    if (!out.parts.empty() && kind != ChecksumKind::kCrc64Nvme) {
      composite = true;
      text = fmt::format("{}-{}", Base64Encode(ChecksumOf(kind, of_parts)), out.parts.size());
    }
    out.headers.emplace_back(std::move(header), std::move(text));
  }
  if (!out.headers.empty()) {
    out.headers.emplace_back("x-amz-checksum-type", composite ? "COMPOSITE" : "FULL_OBJECT");
  }
  return out;
}

}  // namespace modelfs::test
