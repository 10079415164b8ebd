#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "index/shared/segment_trailer.h"
#include "index/shared/shared_files.h"

namespace modelfs::index::shared {

/// A segment on its way into a shared directory: a file of a name that nobody else has, until it is
/// whole. The temporary name goes with the writer, whose end waits for the server, too.
///
/// Threads: WriteBlock from several at once, of different blocks; then Publish once. All wait for
/// the server. Errors: as FromErrno.
class SegmentWriter {
 public:
  /// `trailer` has its identity and room for sums; `temporary` is the path that `file` was made at.
  SegmentWriter(std::shared_ptr<SharedFiles> files, std::unique_ptr<SharedFile> file,
                SegmentTrailer trailer, std::string temporary, std::string name);
  ~SegmentWriter();
  SegmentWriter(const SegmentWriter&) = delete;
  SegmentWriter& operator=(const SegmentWriter&) = delete;

  Result<void> WriteBlock(std::uint64_t block, std::span<const std::byte> bytes);

  /// Writes the trailer, makes sure that the server has it all, and gives it its name. kTaken:
  /// there was one already; whether that is sound is its readers' business. Requires: each block
  /// was written.
  Result<Placed> Publish();
  /// Tries to give it its name again. Requires: Publish said kTaken.
  Result<Placed> Place();

 private:
  const std::shared_ptr<SharedFiles> files_;
  std::unique_ptr<SharedFile> file_;
  SegmentTrailer trailer_;
  const std::string temporary_;
  const std::string name_;
  bool moved_ = false;  ///< The temporary name is gone.
};

}  // namespace modelfs::index::shared
