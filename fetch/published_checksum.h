#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fetch/base/byte_range.h"

namespace modelfs::fetch {

/// The kinds of checksum that origins publish.
enum class ChecksumKind : std::uint8_t {
  kCrc64Nvme,  ///< 8 bytes, most significant first (S3).
  kCrc32,      ///< 4 bytes, zlib's, most significant first (S3).
  kCrc32c,     ///< 4 bytes, Castagnoli, most significant first (S3).
  kSha1,       ///< 20 bytes (S3).
  kSha256,     ///< 32 bytes (S3).
  kMd5,        ///< 16 bytes: the ETag of an S3 object uploaded in one part, not encrypted by KMS.
};

/// What the origin says that the bytes of one range of an object sum up to.
struct PublishedChecksum {
  ChecksumKind kind = ChecksumKind::kCrc64Nvme;
  ByteRange range;    ///< The whole object, or one of the parts that it was uploaded in.
  std::string value;  ///< Raw bytes, as long as the kind's comment says.

  friend bool operator==(const PublishedChecksum&, const PublishedChecksum&) = default;
};

/// Everything that an origin publishes about one object; empty: nothing that can be compared.
/// Checksums of parts, where given, cover the object without gap, in order.
using PublishedChecksums = std::vector<PublishedChecksum>;

}  // namespace modelfs::fetch
