#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fetch/base/sha256.h"
#include "fetch/origin.h"
#include "index/shared/segment_layout.h"
#include "index/shared/segment_trailer.h"
#include "index/shared/segment_writer.h"
#include "index/shared/shared_files.h"

namespace modelfs::index::shared {

/// A published segment, open. Nothing of it is given out that does not match its sums.
///
/// Threads: any; waits for the server.
class OpenSegment {
 public:
  OpenSegment(std::unique_ptr<SharedFile> file, SegmentTrailer trailer)
      : file_(std::move(file)), trailer_(std::move(trailer)) {}

  std::uint32_t block_bytes() const { return trailer_.block_bytes; }
  /// Fills `dst` with block `block`. Errors: kCorrupt (other bytes than were published), kIo
  /// (short, stale, or as FromErrno). Requires: `dst` has the block's size.
  Result<void> ReadBlock(std::uint64_t block, std::span<std::byte> dst) const;

 private:
  std::unique_ptr<SharedFile> file_;
  SegmentTrailer trailer_;
};

/// The folder of one object in a shared directory:
///
/// ```
///  d/<domain>/<oid[0:2]>/<oid>/meta          which object it is, for people
///                              s/<idx>       segments, whole and for ever
///                              k/<idx>.<n>   claims; the highest n counts
///                              u/<instance>  touched while in use
/// ```
/// Threads: any; all methods wait for the server. Errors: as FromErrno.
class SegmentFolder {
 public:
  SegmentFolder(std::shared_ptr<SharedFiles> files, const fetch::ObjectId& id,
                const SegmentLayout& layout, std::string instance);

  struct Listing {
    std::vector<std::uint64_t> segments;
    std::map<std::uint64_t, std::uint32_t> claims;  ///< Highest epoch by segment.
  };
  /// What is there; nothing where there is no folder.
  Result<Listing> List() const;
  /// Changes when a segment is published; 0: there is no folder.
  Result<std::int64_t> Stamp() const;

  /// Makes the folders, and writes down which object it is.
  Result<void> Prepare() const;
  /// Errors: kNotFound; kCorrupt (it does not fit its trailer, or is another).
  Result<std::shared_ptr<OpenSegment>> Open(std::uint64_t index) const;
  /// Whether it is published, as the server has it.
  Result<bool> Has(std::uint64_t index) const;
  /// A segment to be written. Requires: Prepare was called.
  Result<std::unique_ptr<SegmentWriter>> New(std::uint64_t index, std::uint32_t block_bytes) const;
  /// Moves a segment that is wrong out of the way, and its claims.
  Result<void> Quarantine(std::uint64_t index) const;

  /// Claims are an optimisation: nothing goes wrong when two hold one. One whose segment was
  /// published stays for a while, for those to whom that does not show yet; see SharedSweeper.
  Result<Placed> Claim(std::uint64_t index, std::uint32_t epoch) const;
  Result<void> Release(std::uint64_t index, std::uint32_t epoch) const;
  struct Holder {
    std::string instance;         ///< "" where that was not written yet.
    std::int64_t claimed_ns = 0;  ///< By the server's clock.
  };
  /// Errors: kNotFound: nobody any more.
  Result<Holder> HolderOf(std::uint64_t index, std::uint32_t epoch) const;

  /// Says that we use the object.
  Result<void> MarkUse() const;

  const SegmentLayout& layout() const { return layout_; }
  const std::string& path() const { return path_; }

 private:
  std::string SegmentPath(std::uint64_t index) const;
  std::string ClaimPath(std::uint64_t index, std::uint32_t epoch) const;

  const std::shared_ptr<SharedFiles> files_;
  const SegmentLayout layout_;
  const std::string instance_;
  Sha256Digest oid_;
  std::string domain_path_;
  std::string path_;
  std::string meta_;
  mutable std::atomic<std::uint64_t> serial_{0};  ///< Of our names.
};

}  // namespace modelfs::index::shared
