#include "fs/daemon/owner_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <nlohmann/json.hpp>

namespace modelfs::fs {
namespace {

std::filesystem::path OwnerFile(const std::filesystem::path& cache_directory) {
  return cache_directory / "owner";
}

}  // namespace

bool StillAt(int fd, const std::filesystem::path& path) {
  struct stat opened;
  struct stat named;
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

std::string HostName() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "";
  return name.data();
}

Result<std::optional<OwnerLock>> OwnerLock::TryAcquire(
    const std::filesystem::path& cache_directory) {
  const auto path = OwnerFile(cache_directory);
  for (;;) {
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) {
      const int error_number = errno;
      if (error_number == EACCES || error_number == EPERM || error_number == EROFS) {
        return Fail(Errc::kDenied,
                    fmt::format("cache directory {} is not writable: choose another with --cache",
                                cache_directory.string()));
      }
      return FailErrno(error_number, fmt::format("open {} in the cache directory", path.string()));
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::optional<OwnerLock>();
      if (errno == EINTR) continue;
      return FailErrno(errno, fmt::format("lock {}", path.string()));
    }
    if (StillAt(file.get(), path)) return OwnerLock(std::move(file));
  }
}

std::optional<OwnerLock::Owner> OwnerLock::ReadOwner(const std::filesystem::path& cache_directory) {
  const Fd file(::open(OwnerFile(cache_directory).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return std::nullopt;
  std::array<char, 4096> text;
  const ssize_t n = ::read(file.get(), text.data(), text.size());
  if (n <= 0) return std::nullopt;
  const auto json = nlohmann::json::parse(text.data(), text.data() + n, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto pid = json.find("pid");
  const auto host = json.find("host");
  const auto control = json.find("control_socket");
  if (pid == json.end() || !pid->is_number_integer() || host == json.end() || !host->is_string() ||
      control == json.end() || !control->is_string()) {
    return std::nullopt;
  }
  return Owner{.pid = pid->get<pid_t>(),
               .host = host->get<std::string>(),
               .control_socket = control->get<std::string>()};
}

Result<void> OwnerLock::Record(const Owner& owner) {
  const nlohmann::json json = {
      {"pid", owner.pid}, {"host", owner.host}, {"control_socket", owner.control_socket}};
  const std::string text =
      json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (::ftruncate(file_.get(), 0) != 0 ||
      ::pwrite(file_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return FailErrno(errno, "write the owner file of the cache directory");
  }
  return {};
}

}  // namespace modelfs::fs
