#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace modelfs::test {

/// A folder of its own below the system's temporary folder, removed with all it holds.
class TempDir {
 public:
  /// Aborts the program when it cannot be made.
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Writes `content` to the file `name` in it, making folders on the way; its path.
  std::filesystem::path Write(const std::string& name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

}  // namespace modelfs::test
