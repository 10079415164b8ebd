#include "index/shared/segment_writer.h"

#include <xxhash.h>

#include <utility>

namespace modelfs::index::shared {

SegmentWriter::SegmentWriter(std::shared_ptr<SharedFiles> files, std::unique_ptr<SharedFile> file,
                             SegmentTrailer trailer, std::string temporary, std::string name)
    : files_(std::move(files)),
      file_(std::move(file)),
      trailer_(std::move(trailer)),
      temporary_(std::move(temporary)),
      name_(std::move(name)) {}

SegmentWriter::~SegmentWriter() {
  file_.reset();
  if (!moved_) std::ignore = files_->Unlink(temporary_);  // What stays is reaped by age.
}

Result<void> SegmentWriter::WriteBlock(std::uint64_t block, std::span<const std::byte> bytes) {
  trailer_.sums[block] = XXH3_64bits(bytes.data(), bytes.size());
  return file_->Write(block * trailer_.block_bytes, bytes);
}

Result<Placed> SegmentWriter::Publish() {
  if (auto written = file_->Write(trailer_.length_bytes, trailer_.Encode()); !written) {
    return std::unexpected(std::move(written.error()));
  }
  auto synced = file_->SyncAndClose();
  file_.reset();
  if (!synced) return std::unexpected(std::move(synced.error()));
  auto placed = Place();
  // An answer may have been lost: then the name is taken now, by us.
  if (!placed && placed.error().code == Errc::kIo) placed = Place();
  return placed;
}

/// By a link where there are links, else by a rename that replaces nothing, else by one that may:
/// of two that were published at once both hold the same bytes.
Result<Placed> SegmentWriter::Place() {
  auto placed = files_->Link(temporary_, name_);
  if (placed || placed.error().code != Errc::kInvalid) return placed;
  placed = files_->RenameNew(temporary_, name_);
  moved_ = placed && *placed == Placed::kPlaced;
  if (placed || placed.error().code != Errc::kInvalid) return placed;
  if (auto renamed = files_->Rename(temporary_, name_); !renamed) {
    return std::unexpected(std::move(renamed.error()));
  }
  moved_ = true;
  return Placed::kPlaced;
}

}  // namespace modelfs::index::shared
