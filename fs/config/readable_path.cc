#include "fs/config/readable_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "fetch/base/handle.h"

namespace modelfs::fs {

Result<std::string> ReadablePath(const std::string& path, std::string_view what) {
  std::error_code error;
  std::string absolute = std::filesystem::absolute(path, error).lexically_normal().string();
  const Fd fd(::open(absolute.c_str(), O_RDONLY | O_CLOEXEC));
  char byte = 0;
  if (!fd || ::read(fd.get(), &byte, 1) < 0) {
    return FailErrno(errno, fmt::format("read {} '{}'", what, absolute));
  }
  return absolute;
}

}  // namespace modelfs::fs
