#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "index/shared/shared_files.h"

namespace modelfs::test {

/// Files that behave as network filesystems do when they do not behave, by a script.
///
/// Threads: any.
class FaultyFiles final : public index::shared::SharedFiles {
 public:
  struct Script {
    bool links = true;          ///< Hard links work.
    bool renames = true;        ///< A rename that replaces nothing works.
    bool lose_answers = false;  ///< Links are made, and then an error is all that comes back.
    bool read_only = false;     ///< Nothing can be written.
    bool full = false;          ///< Nothing more fits.
    int stale_reads = 0;        ///< So many reads fail as of a server that was restarted.
  };

  FaultyFiles(std::shared_ptr<index::shared::SharedFiles> files, Script script)
      : files_(std::move(files)), script_(script) {}

  void Become(Script script) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    script_ = script;
  }

  std::string Describe() const override { return "faulty " + files_->Describe(); }
  std::string Kind() override { return "faulty"; }
  Result<std::unique_ptr<index::shared::SharedFile>> OpenToRead(const std::string& path) override {
    auto file = files_->OpenToRead(path);
    if (!file) return file;
    return std::make_unique<File>(*this, std::move(*file));
  }
  Result<std::unique_ptr<index::shared::SharedFile>> Create(const std::string& path) override {
    if (auto allowed = MayWrite(); !allowed) return std::unexpected(allowed.error());
    auto file = files_->Create(path);
    if (!file || !*file) return file;
    return std::make_unique<File>(*this, std::move(*file));
  }
  Result<index::shared::Placed> Link(const std::string& from, const std::string& to) override {
    if (auto allowed = MayWrite(); !allowed) return std::unexpected(allowed.error());
    const Script script = Now();
    if (!script.links) return Fail(Errc::kInvalid, "link: not here");
    auto placed = files_->Link(from, to);
    if (script.lose_answers && placed && *placed == index::shared::Placed::kPlaced) {
      return Fail(Errc::kIo, "link: timed out");
    }
    return placed;
  }
  Result<index::shared::Placed> RenameNew(const std::string& from, const std::string& to) override {
    if (auto allowed = MayWrite(); !allowed) return std::unexpected(allowed.error());
    if (!Now().renames) return Fail(Errc::kInvalid, "rename: not here");
    return files_->RenameNew(from, to);
  }
  Result<void> Rename(const std::string& from, const std::string& to) override {
    if (auto allowed = MayWrite(); !allowed) return allowed;
    return files_->Rename(from, to);
  }
  Result<void> Unlink(const std::string& path) override {
    if (Now().read_only) return MayWrite();
    return files_->Unlink(path);
  }
  Result<void> RemoveFolder(const std::string& path) override {
    if (Now().read_only) return MayWrite();
    return files_->RemoveFolder(path);
  }
  Result<void> MakeFolder(const std::string& path) override {
    if (auto allowed = MayWrite(); !allowed) return allowed;
    return files_->MakeFolder(path);
  }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return files_->List(path);
  }
  Result<index::shared::FileFacts> Look(const std::string& path) override {
    return files_->Look(path);
  }
  Result<std::int64_t> Touch(const std::string& path) override {
    if (Now().read_only) return Fail(Errc::kDenied, "touch: read-only");
    return files_->Touch(path);
  }
  Result<index::shared::FilesystemSpace> Space() override { return files_->Space(); }

 private:
  class File final : public index::shared::SharedFile {
   public:
    File(FaultyFiles& owner, std::unique_ptr<index::shared::SharedFile> file)
        : owner_(owner), file_(std::move(file)) {}
    Result<std::size_t> Read(std::uint64_t offset, std::span<std::byte> dst) override {
      if (owner_.TakeStale()) return Fail(Errc::kIo, "read: Stale file handle");
      return file_->Read(offset, dst);
    }
    Result<void> Write(std::uint64_t offset, std::span<const std::byte> src) override {
      if (auto allowed = owner_.MayWrite(); !allowed) return allowed;
      return file_->Write(offset, src);
    }
    Result<std::uint64_t> Size() override { return file_->Size(); }
    Result<void> SyncAndClose() override {
      if (auto allowed = owner_.MayWrite(); !allowed) return allowed;
      return file_->SyncAndClose();
    }

   private:
    FaultyFiles& owner_;
    std::unique_ptr<index::shared::SharedFile> file_;
  };

  Script Now() const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return script_;
  }
  Result<void> MayWrite() const {
    const Script script = Now();
    if (script.read_only) return Fail(Errc::kDenied, "write: Read-only file system");
    if (script.full) return Fail(Errc::kNoSpace, "write: No space left on device");
    return {};
  }
  bool TakeStale() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return script_.stale_reads > 0 && script_.stale_reads-- > 0;
  }

  const std::shared_ptr<index::shared::SharedFiles> files_;
  mutable Mutex mutex_;
  Script script_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::test
