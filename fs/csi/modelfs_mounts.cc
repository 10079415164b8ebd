#include "fs/csi/modelfs_mounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "fetch/base/handle.h"
#include "fetch/base/program.h"
#include "fetch/base/small_file.h"
#include "fs/control/wire.h"
#include "fs/daemon/child_process.h"
#include "fs/daemon/mounter.h"

namespace modelfs::fs {
namespace {

constexpr std::chrono::seconds kMountLimit{45};
constexpr std::chrono::seconds kBindLimit{20};
constexpr std::chrono::seconds kDetachLimit{2};

/// What `modelfs mount --answer` says.
Result<void> ReadAnswer(const std::string& text) {
  if (auto error = ErrorIn(text)) return std::unexpected(*std::move(error));
  const auto answer = nlohmann::json::parse(text, nullptr, false);
  if (answer.is_object() && !answer.contains("error")) return {};
  return Fail(Errc::kIo, "modelfs mount: ended without an answer");
}

Result<void> Detach(const std::string& path) {
  auto ended = CallInChild(
      [&] { return ::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 ? 0 : errno; },
      fmt::format("umount {}", path), kDetachLimit);
  if (!ended) return std::unexpected(std::move(ended.error()));
  // EINVAL, ENOENT: nothing is mounted there.
  if (*ended == 0 || *ended == EINVAL || *ended == ENOENT) return {};
  return FailErrno(*ended, fmt::format("umount {}", path));
}

/// The id in mountinfo of the mount that `fd` is in; -1: not known.
int MountOf(int fd) {
  const auto text = ReadSmallFile(fmt::format("/proc/self/fdinfo/{}", fd));
  const std::size_t at = text ? text->find("mnt_id:") : std::string::npos;
  return at == std::string::npos ? -1 : std::atoi(text->c_str() + at + 7);
}

}  // namespace

Result<void> ModelfsMounts::Mount(const Request& request) {
  std::vector<std::string> words = options_.launch;
  words.insert(words.end(), {options_.program, "mount", "--answer"});
  words.insert(words.end(), request.arguments.begin(), request.arguments.end());
  words.push_back(request.path);
  auto answer = modelfs::RunProgram(
      {.arguments = std::move(words), .environment = request.environment, .limit = kMountLimit},
      std::stop_token());
  if (!answer) return std::unexpected(std::move(answer.error()));
  return ReadAnswer(*answer);
}

Result<void> ModelfsMounts::Bind(const std::string& from, const std::string& target) {
  auto ended = CallInChild(
      [&] {
        return ::mount(from.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) == 0 ? 0 : errno;
      },
      fmt::format("bind {} to {}", from, target), kBindLimit);
  if (!ended) return std::unexpected(std::move(ended.error()));
  if (*ended == 0) return {};
  return FailErrno(*ended, fmt::format("bind {} to {}", from, target));
}

Result<void> ModelfsMounts::Unbind(const std::string& target) {
  // Of several on top of each other all: who was killed in between may have left one.
  for (int most = 16; most > 0; --most) {
    const auto table = MountTable::Read();
    if (!table) return std::unexpected(table.error());
    const auto entry = table->Find(target);
    if (!entry || entry->fs_type != kFsType) return {};
    if (auto done = Detach(target); !done) return done;
  }
  return Fail(Errc::kIo, fmt::format("umount {}: there is always another mount below", target));
}

Result<void> ModelfsMounts::Unmount(const std::string& path) {
  // Held by this, it keeps its number, so that no other connection is aborted in its place. O_PATH
  // asks nobody.
  const Fd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto table = MountTable::Read();
  if (!table) return std::unexpected(table.error());
  const auto entry = table->Find(path);
  if (!entry || entry->fs_type != kFsType) return {};
  if (auto done = Unbind(path); !done) return done;
  // Nobody may use it any more: its target is gone, and so are the pod's processes, or they are in
  // the way. The daemon takes this for an unmount.
  if (root && MountOf(root.get()) == entry->id) {
    if (auto done = MakeSystemMounter()->Abort(entry->device_minor); !done) {
      spdlog::warn("csi.abort_failed path={} error=\"{}\"", path, done.error().what);
    }
  }
  return {};
}

}  // namespace modelfs::fs
