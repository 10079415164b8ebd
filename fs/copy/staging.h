#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/copy/copied_version.h"
#include "fs/copy/copy_journal.h"

namespace modelfs::fs {

/// Where a copy grows until it is whole, beside its place and so on the same filesystem:
///
///     <parent>/<name>                      the place; appears by one rename
///     <parent>/.<name>.modelfs-lock        CopyLock; stays
///     <parent>/.<name>.modelfs-copy/       journal, and files/, which becomes <name>
///
/// What a run that was killed has left is taken on when it is of the same list of files, else
/// removed. No symbolic link below it is followed, so that nothing outside of it is written.
///
/// Threads: OpenFile and Publish from one; Record from any. Requires: the caller has the CopyLock.
class Staging {
 public:
  static std::string Path(const std::string& parent, const std::string& name);
  static std::string LockPath(const std::string& parent, const std::string& name);
  /// Removes what a killed run has left of a copy that is in its place, or is not wanted.
  static void Remove(const std::string& parent, const std::string& name);

  /// Requires: `parent` is a folder. Errors: kDenied, kNoSpace and others as FromErrno.
  static Result<Staging> Open(const std::string& parent, const std::string& name,
                              const std::string& identity);

  /// What earlier runs have written.
  const std::vector<WrittenPiece>& pieces() const { return journal_.pieces(); }
  Result<void> Record(const WrittenPiece& piece) const { return journal_.Append(piece); }

  /// Opens `path` of the copy for reading and writing, made with its folders where it is missing,
  /// `size_bytes` long. Errors: kNoSpace and others as FromErrno, naming the path.
  Result<Fd> OpenFile(const std::string& path, std::uint64_t size_bytes) const;

  /// Adds the record, syncs all folders, and puts the copy into its place. Files are synced by
  /// whoever wrote them. Errors: kIo when something has come to lie at the place; others as
  /// FromErrno; nothing is in the place then.
  Result<void> Publish(const CopyList& list) const;

 private:
  Staging(std::string parent, std::string name, Fd directory, Fd files, CopyJournal journal)
      : parent_(std::move(parent)),
        name_(std::move(name)),
        directory_(std::move(directory)),
        files_(std::move(files)),
        journal_(std::move(journal)) {}

  std::string parent_;
  std::string name_;
  Fd directory_;
  Fd files_;
  CopyJournal journal_;
};

}  // namespace modelfs::fs
