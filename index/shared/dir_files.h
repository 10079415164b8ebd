#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "index/shared/shared_files.h"

namespace modelfs::index::shared {

/// SharedFiles of a mounted directory.
///
/// Names are resolved from the root each time, so that a directory that was wiped and made again,
/// or a stale handle of a server that was restarted, is found anew.
class DirFiles final : public SharedFiles {
 public:
  explicit DirFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}

  std::string Describe() const override { return directory_.string(); }
  std::string Kind() override;
  Result<std::unique_ptr<SharedFile>> OpenToRead(const std::string& path) override;
  Result<std::unique_ptr<SharedFile>> Create(const std::string& path) override;
  Result<Placed> Link(const std::string& from, const std::string& to) override;
  Result<Placed> RenameNew(const std::string& from, const std::string& to) override;
  Result<void> Rename(const std::string& from, const std::string& to) override;
  Result<void> Unlink(const std::string& path) override;
  Result<void> RemoveFolder(const std::string& path) override;
  Result<void> MakeFolder(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;
  Result<FileFacts> Look(const std::string& path) override;
  Result<std::int64_t> Touch(const std::string& path) override;
  Result<FilesystemSpace> Space() override;

 private:
  std::string Full(const std::string& path) const { return directory_ / path; }

  const std::filesystem::path directory_;
};

}  // namespace modelfs::index::shared
