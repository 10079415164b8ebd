#include "fetch/base/small_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "fetch/base/handle.h"

namespace modelfs {

Result<std::string> ReadSmallFile(const std::string& path, std::size_t limit) {
  const auto failed = [&path] { return FailErrno(errno, fmt::format("read '{}'", path)); };
  // A FIFO without a writer would make open wait.
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return failed();
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed();
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > limit) {
      return Fail(Errc::kInvalid, fmt::format("'{}' is larger than {} bytes", path, limit));
    }
  }
}

}  // namespace modelfs
