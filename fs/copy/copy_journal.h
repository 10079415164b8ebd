#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fetch/base/byte_range.h"
#include "fetch/base/error.h"
#include "fetch/base/handle.h"

namespace modelfs::fs {

/// A piece of a file that was written, and what its bytes hash to.
struct WrittenPiece {
  std::uint32_t file = 0;  ///< Index in the list of files that the journal's identity stands for.
  ByteRange range;
  std::uint64_t xxh3 = 0;

  friend bool operator==(const WrittenPiece&, const WrittenPiece&) = default;
};

/// What a copy has written so far, so that the next run can go on where a killed one was. A text:
///
///     modelfs-copy 1 <identity>          of the whole list of files
///     <file> <begin> <end> <xxh3>        one line per piece, in any order; the later one counts
///
/// A line says that the bytes were handed to the kernel, not that they are on the disk: whoever
/// goes on compares each piece with its hash. A last line that was cut off is dropped.
///
/// Threads: Append from any; one process at a time (the CopyLock).
class CopyJournal {
 public:
  /// Opens or makes the file `journal` in the open folder `directory`, borrowed for the call.
  /// Errors: as FromErrno.
  static Result<CopyJournal> Open(int directory, std::string identity);

  /// Whether it tells of a copy with this identity; if not, Begin must come before Append.
  bool of_this_copy() const { return of_this_copy_; }
  const std::vector<WrittenPiece>& pieces() const { return pieces_; }

  /// Forgets everything and starts anew. Errors: as FromErrno.
  Result<void> Begin();
  /// Errors: kNoSpace and others as FromErrno.
  Result<void> Append(const WrittenPiece& piece) const;

 private:
  CopyJournal(Fd file, std::string identity)
      : file_(std::move(file)), identity_(std::move(identity)) {}
  std::string Header() const;
  Result<void> Write(const std::string& text) const;
  Result<void> Load();

  Fd file_;
  std::string identity_;
  bool of_this_copy_ = false;
  std::vector<WrittenPiece> pieces_;
};

}  // namespace modelfs::fs
