#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fetch/published_checksum.h"
#include "tests/support/origin/object_store.h"

namespace modelfs::test {

/// Which checksums of an object the origin is to publish, and how.
struct Publication {
  /// kMd5 makes the object's ETag its MD5, as of an upload in one part; each other one is a header
  /// of HEAD.
  std::vector<fetch::ChecksumKind> kinds = {};
  /// Not 0: the object counts as uploaded in parts of so many bytes. The headers are COMPOSITE then
  /// (CRC64NVME is never), and GetObjectAttributes names the parts.
  std::uint64_t part_size_bytes = 0;
  bool wrong = false;  ///< One bit of every checksum is flipped: those of other bytes.
};

/// What a Publication came to, in the words of S3's answers.
struct PublishedObject {
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  std::string pinned_etag;  ///< Of the object that it is about, as the store makes ETags.
  std::string md5_etag;     ///< In its place; empty: unchanged.
  Pairs headers;            ///< "x-amz-checksum-crc32": "DUoRhQ==".

  /// One part: its size and "ChecksumCRC32": "DUoRhQ==".
  struct Part {
    std::uint64_t size_bytes = 0;
    Pairs checksums;
  };
  std::vector<Part> parts;
};

/// Computes them from the object's bytes. Errors: kIo.
Result<PublishedObject> Publish(const OpenObject& object, const Publication& publication);

/// The bytes that a checksum of `kind` over `bytes` has; see fetch::ChecksumKind.
std::string ChecksumOf(fetch::ChecksumKind kind, std::string_view bytes);

}  // namespace modelfs::test
