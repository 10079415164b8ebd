#include "fs/daemon/supervisor_state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/hex.h"
#include "fetch/base/sha256.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;

constexpr off_t kMaxStateBytes = off_t{64} << 20;

json ToJson(SessionId id, const KeptMount& mount) {
  return {{"session", id},
          {"mount", fs::ToJson(mount.spec)},
          {"minor", mount.minor},
          {"init", Hex(mount.init)},
          {"device", mount.device.get()},
          {"nodes", mount.nodes.get()},
          {"requests", mount.requests.get()},
          {"detached", mount.detached}};
}

/// Owns a descriptor that came through an exec; none of a number below zero.
Fd TakeDescriptor(int fd) {
  if (fd < 0) return Fd();
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return Fd(fd);
}

Result<std::string> ReadAll(const Fd& file) {
  struct stat info;
  if (::fstat(file.get(), &info) != 0) return FailErrno(errno, "the saved state");
  if (info.st_size > kMaxStateBytes) return Fail(Errc::kInvalid, "the saved state is too large");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t got = 0;
  while (got < text.size()) {
    const ssize_t n =
        ::pread(file.get(), text.data() + got, text.size() - got, static_cast<off_t>(got));
    if (n <= 0) return FailErrno(n < 0 ? errno : EIO, "read the saved state");
    got += static_cast<std::size_t>(n);
  }
  return text;
}

/// Throws json::exception where a field is missing or of another type.
Result<SupervisorState> FromJson(const json& saved) {
  auto daemon = DaemonSpecFromJson(saved.at("daemon"));
  if (!daemon) return std::unexpected(daemon.error());
  SupervisorState state{.daemon = *std::move(daemon),
                        .lock = OwnerLock(TakeDescriptor(saved.at("lock").get<int>())),
                        .worker = std::nullopt,
                        .mounts = {},
                        .next_session = saved.at("next_session").get<SessionId>(),
                        .next_request = saved.at("next_request").get<std::uint64_t>(),
                        .upgrade_request = saved.at("upgrade_request").get<std::uint64_t>()};
  if (const json& worker = saved.at("worker"); worker.is_object()) {
    state.worker.emplace(
        WorkerProcess{.pid = worker.at("pid").get<pid_t>(),
                      .channel = BrokerChannel(TakeDescriptor(worker.at("channel").get<int>())),
                      .ended = TakeDescriptor(worker.at("ended").get<int>())});
  }
  for (const json& entry : saved.at("mounts")) {
    auto spec = MountSpecFromJson(entry.at("mount"));
    auto init = FromHex(entry.at("init").get<std::string>());
    if (!spec) return std::unexpected(spec.error());
    if (!init) return Fail(Errc::kInvalid, "the saved state: init is no hex");
    state.mounts.emplace(entry.at("session").get<SessionId>(),
                         KeptMount{.spec = *std::move(spec),
                                   .minor = entry.at("minor").get<unsigned>(),
                                   .init = *std::move(init),
                                   .device = TakeDescriptor(entry.at("device").get<int>()),
                                   .nodes = TakeDescriptor(entry.at("nodes").get<int>()),
                                   .requests = TakeDescriptor(entry.at("requests").get<int>()),
                                   .detached = entry.at("detached").get<bool>()});
  }
  return state;
}

}  // namespace

std::vector<int> DescriptorsOf(const SupervisorState& state) {
  std::vector<int> fds{state.lock.fd()};
  if (state.worker) {
    fds.push_back(state.worker->channel.fd());
    if (state.worker->ended) fds.push_back(state.worker->ended.get());
  }
  for (const auto& [id, mount] : state.mounts) {
    for (const Fd* fd : {&mount.device, &mount.nodes, &mount.requests}) {
      if (*fd) fds.push_back(fd->get());
    }
  }
  return fds;
}

Result<Fd> SaveState(const SupervisorState& state) {
  json mounts = json::array();
  for (const auto& [id, mount] : state.mounts) mounts.push_back(ToJson(id, mount));
  json worker;
  if (state.worker) {
    worker = {{"pid", state.worker->pid},
              {"channel", state.worker->channel.fd()},
              {"ended", state.worker->ended.get()}};
  }
  const json saved = {{"v", kSupervisorStateVersion},
                      {"daemon", fs::ToJson(state.daemon)},
                      {"lock", state.lock.fd()},
                      {"worker", std::move(worker)},
                      {"mounts", std::move(mounts)},
                      {"next_session", state.next_session},
                      {"next_request", state.next_request},
                      {"upgrade_request", state.upgrade_request}};
  const std::string text = saved.dump(-1, ' ', false, json::error_handler_t::replace);
  Fd file(::memfd_create("modelfs-supervisor", 0));  // Not close-on-exec.
  if (!file) return FailErrno(errno, "memfd_create");
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return FailErrno(errno, "write the state");
  }
  for (const int fd : DescriptorsOf(state)) ::fcntl(fd, F_SETFD, 0);
  return file;
}

void KeepFromExec(const SupervisorState& state) {
  for (const int fd : DescriptorsOf(state)) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

Result<SupervisorState> LoadState(Fd saved) {
  auto text = ReadAll(saved);
  if (!text) return std::unexpected(text.error());
  const json object = json::parse(*text, nullptr, false);
  if (!object.is_object() || object.value("v", 0) != kSupervisorStateVersion) {
    return Fail(Errc::kInvalid,
                fmt::format("the saved state is not of version {}", kSupervisorStateVersion));
  }
  try {
    return FromJson(object);
  } catch (const json::exception& error) {
    return Fail(Errc::kInvalid, fmt::format("the saved state: {}", error.what()));
  }
}

}  // namespace modelfs::fs
