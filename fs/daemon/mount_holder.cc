#include "fs/daemon/mount_holder.h"

#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <variant>

#include "fs/daemon/packet_socket.h"

namespace modelfs::fs {
namespace {

/// How often it looks whether mounts without a supervisor are still there.
constexpr std::chrono::milliseconds kLookAgain{1'000};

}  // namespace

Result<MountHolder> MountHolder::Listen(Options options) {
  auto listener = ListenForPackets(options.socket);
  if (!listener) return std::unexpected(listener.error());
  return MountHolder(std::move(options), *std::move(listener));
}

int MountHolder::Run() {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return 1;
  const Fd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return 1;
  spdlog::info("hold.listens socket={} patience_ms={}", options_.socket, options_.patience.count());
  for (;;) {
    std::vector<pollfd> fds{{listener_.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}};
    for (const Line& line : lines_) fds.push_back({line.channel.fd(), POLLIN, 0});
    if (::poll(fds.data(), fds.size(), WaitMilliseconds(Clock::now())) < 0 && errno != EINTR) {
      return 1;
    }
    if (fds[1].revents != 0) break;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      if (fds[i + 2].revents != 0) Read(lines_[i]);
    }
    CloseLines();
    if (fds[0].revents != 0) Accept();
    LetGo(Clock::now());
  }
  ::unlink(options_.socket.c_str());
  spdlog::info("hold.end");
  return 0;
}

void MountHolder::Accept() {
  auto peer = AcceptPackets(listener_);
  if (peer)
    lines_.push_back(
        Line{.channel = BrokerChannel(std::move(peer->socket)), .cache_directory = {}});
}

/// Everything that has arrived, without waiting.
void MountHolder::Read(Line& line) {
  while (line.open) {
    pollfd look{.fd = line.channel.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&look, 1, 0) <= 0) return;
    auto message = line.channel.Receive();
    if (!message && message.error().code == Errc::kInvalid) {
      spdlog::error("hold.bad_message error=\"{}\"", message.error().what);
      continue;
    }
    std::optional<BrokerMessage> received;
    if (message) received = *std::move(message);
    if (received) {
      Take(line, *received);
    } else {
      line.open = false;
    }
  }
}

void MountHolder::Take(Line& line, BrokerMessage& received) {
  if (const auto* hold = std::get_if<HoldMessage>(&received)) {
    return Introduce(line, hold->cache_directory);
  }
  const auto found = kept_.find(line.cache_directory);
  if (found == kept_.end()) return;
  KeptMountReader& mounts = found->second.mounts;
  if (const auto* gone = std::get_if<SessionGoneMessage>(&received)) {
    mounts.mounts().erase(gone->session);
  } else if (mounts.Take(received) && std::holds_alternative<ResumeMountMessage>(received)) {
    spdlog::info("hold.kept cache={} mounts={}", line.cache_directory, mounts.mounts().size());
  }
}

/// A supervisor has come: it gets what the last one of its cache directory left.
void MountHolder::Introduce(Line& line, const std::string& cache_directory) {
  for (Line& other : lines_) {  // One that is gone, or was replaced.
    if (&other == &line || other.cache_directory != cache_directory) continue;
    Read(other);  // Its last words count.
    other.open = false;
  }
  line.cache_directory = cache_directory;
  Kept& kept = kept_[cache_directory];
  kept.since.reset();
  spdlog::info("hold.supervisor cache={} mounts={}", cache_directory, kept.mounts.mounts().size());
  for (const auto& [id, mount] : kept.mounts.mounts()) {
    if (auto sent = SendKept(line.channel, id, mount, 0); !sent) {
      spdlog::error("hold.send_failed error=\"{}\"", sent.error().what);
      line.open = false;
      return;
    }
  }
  if (!line.channel.Send(ReadyMessage{})) line.open = false;
}

void MountHolder::CloseLines() {
  const auto closed = std::ranges::partition(lines_, [](const Line& line) { return line.open; });
  for (const Line& line : closed) {
    const auto found = kept_.find(line.cache_directory);
    const bool replaced = std::ranges::any_of(lines_, [&](const Line& other) {
      return other.open && other.cache_directory == line.cache_directory;
    });
    if (found == kept_.end() || replaced) continue;
    found->second.since = Clock::now();
    spdlog::warn("hold.supervisor_gone cache={} mounts={}", line.cache_directory,
                 found->second.mounts.mounts().size());
  }
  lines_.erase(closed.begin(), closed.end());
}

void MountHolder::LetGo(Clock::time_point now) {
  for (auto entry = kept_.begin(); entry != kept_.end();) {
    auto& [cache_directory, kept] = *entry;
    if (kept.since) {
      std::erase_if(kept.mounts.mounts(), [](const auto& mount) { return IsGone(mount.second); });
      const bool too_long = now - *kept.since >= options_.patience;
      if (too_long && !kept.mounts.mounts().empty()) {
        spdlog::error("hold.let_go cache={} mounts={}: nobody came for them", cache_directory,
                      kept.mounts.mounts().size());
      }
      if (too_long || kept.mounts.mounts().empty()) {
        entry = kept_.erase(entry);
        continue;
      }
    }
    ++entry;
  }
}

int MountHolder::WaitMilliseconds(Clock::time_point now) const {
  auto until = now + std::chrono::hours(1);
  for (const auto& [cache_directory, kept] : kept_) {
    if (kept.since) until = std::min({until, *kept.since + options_.patience, now + kLookAgain});
  }
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - now);
  return static_cast<int>(std::max<std::int64_t>(0, wait.count()));
}

}  // namespace modelfs::fs
