#include "fs/config/login_files.h"

#include <utility>

#include "fs/config/readable_path.h"

namespace modelfs::fs {

Result<LoginFiles> FindLoginFiles(const SourceSettings& source) {
  if (source.auth_file && source.token_file) {
    return Fail(Errc::kInvalid, "auth_file and token_file exclude each other");
  }
  LoginFiles files;
  if (source.auth_file) {
    auto path = ReadablePath(*source.auth_file, "auth_file");
    if (!path) return std::unexpected(std::move(path.error()));
    files.auth_file = *std::move(path);
  }
  if (source.token_file) {
    auto path = ReadablePath(*source.token_file, "token_file");
    if (!path) return std::unexpected(std::move(path.error()));
    files.token_file = *std::move(path);
  }
  return files;
}

}  // namespace modelfs::fs
