#include "fs/daemon/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "fetch/base/thread.h"
#include "fs/daemon/adoption.h"
#include "fs/daemon/launcher.h"
#include "fs/daemon/log.h"
#include "fs/daemon/mount_table.h"

namespace modelfs::fs {
namespace {

sigset_t WatchedSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

Worker::Worker(BrokerChannel channel, FaultPoints* faults)
    : broker_(std::move(channel)),
      faults_(faults),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  const sigset_t set = WatchedSignals();
  signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

Worker::~Worker() = default;

int Worker::Run() {
  if (!Start()) return 1;
  mounting_ = StartThread("mount", [this] { MountLoop(); });
  Serve();
  return End();
}

bool Worker::Start() {
  std::optional<BrokerMessage> first;
  while (!first && broker_.connected()) {
    first = broker_.Next();
    // A successor is asked whether it is there while its predecessor still serves.
    if (const auto* ping = first ? std::get_if<PingMessage>(&*first) : nullptr) {
      broker_.Send(PongMessage{ping->number});
      first.reset();
    }
  }
  auto* start = first ? std::get_if<StartMessage>(&*first) : nullptr;
  if (start == nullptr || !signals_ || !wake_) {
    spdlog::error("worker.not_started");
    return false;
  }
  SetUpLog("worker", start->daemon.log_level);
  auto app = App::Create({.daemon = std::move(start->daemon),
                          .lock = OwnerLock(std::move(start->lock)),
                          .broker = &broker_,
                          .faults = faults_,
                          .on_unmounted =
                              [this](SessionId id) {
                                {
                                  MutexLock lock(mutex_);
                                  gone_.push_back(id);
                                }
                                ::eventfd_write(wake_.get(), 1);
                              },
                          .on_unusable =
                              [this](Error error) {
                                {
                                  MutexLock lock(mutex_);
                                  unusable_ = std::move(error);
                                }
                                ::eventfd_write(wake_.get(), 1);
                              }});
  if (!app) {
    spdlog::error("worker.start_failed error=\"{}\"", app.error().what);
    broker_.Send(FailedMessage{.request = 0, .error = std::move(app.error())});
    broker_.Send(ByeMessage{});
    return false;
  }
  app_ = *std::move(app);
  return true;
}

void Worker::Serve() {
  while (!ending_) {
    std::array<pollfd, 4> fds{pollfd{alone_ ? -1 : broker_.fd(), POLLIN, 0},
                              pollfd{signals_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0},
                              pollfd{adopters_ ? adopters_.get() : -1, POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) {
      spdlog::error("worker.poll_failed errno={}", errno);
      return;
    }
    if (fds[0].revents != 0) OnMessage();
    if (fds[1].revents != 0) OnSignals();
    if (fds[2].revents != 0) OnWake();
    if (fds[3].revents != 0) OnAdopter();
  }
}

void Worker::OnMessage() {
  auto message = broker_.Next();
  if (!broker_.connected()) return OnSupervisorGone();
  if (!message) return;
  if (auto* add = std::get_if<AddMountMessage>(&*message)) {
    Enqueue(std::move(*add));
  } else if (auto* resume = std::get_if<ResumeMountMessage>(&*message)) {
    Enqueue(std::move(*resume));
  } else if (auto* nodes = std::get_if<NodesMessage>(&*message)) {
    MutexLock lock(mutex_);
    nodes_[nodes->session] = std::move(nodes->log);
  } else if (auto* requests = std::get_if<RequestsMessage>(&*message)) {
    MutexLock lock(mutex_);
    requests_[requests->session] = std::move(requests->record);
  } else if (const auto* ping = std::get_if<PingMessage>(&*message)) {
    // Not answered by a worker whose sessions hang: another one will do better.
    if (!app_->Hangs()) broker_.Send(PongMessage{ping->number});
  } else if (std::holds_alternative<ShutdownMessage>(*message)) {
    ending_ = true;
  } else if (const auto* adopted = std::get_if<AdoptedMessage>(&*message)) {
    broker_.SetSupervisor(static_cast<pid_t>(adopted->pid));
    spdlog::info("worker.adopted supervisor={}", adopted->pid);
  } else if (std::holds_alternative<RetireMessage>(*message)) {
    spdlog::info("worker.retires");
    broker_.NoteRetirement();
    stop_mode_ = StopMode::kHandOver;
    ending_ = true;
  } else {
    spdlog::error("worker.unexpected_message type={}", BrokerTypeName(*message));
  }
}

template <class Wish>
void Worker::Enqueue(Wish wish) {
  MutexLock lock(mutex_);
  wanted_.emplace_back(std::move(wish));
  wanted_changed_.NotifyOne();
}

void Worker::OnSignals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      app_->ReloadConfig();
    } else if (alone_) {
      spdlog::info("worker.signal signal={}", info.ssi_signo);
      DetachMounts();
      ending_ = true;
    }
    // Otherwise the supervisor got it too, or should have: it knows when to end us.
  }
}

void Worker::OnWake() {
  eventfd_t count = 0;
  ::eventfd_read(wake_.get(), &count);
  std::deque<SessionId> gone;
  std::optional<Error> unusable;
  {
    MutexLock lock(mutex_);
    gone.swap(gone_);
    unusable.swap(unusable_);
  }
  if (unusable) {
    broker_.Send(FailedMessage{.request = 0, .error = *std::move(unusable)});
    exit_code_ = 1;
    ending_ = true;
  }
  for (const SessionId id : gone) app_->Remove(id);
  EndIfAlone();
}

void Worker::OnSupervisorGone() {
  spdlog::error("worker.supervisor_died: serving on, unprotected");
  alone_ = true;
  EndIfAlone();
  if (ending_) return;
  const std::string path = AdoptionPath(app_->daemon().control_socket);
  auto listener = ListenForPackets(path);
  if (listener) {
    adopters_ = *std::move(listener);
  } else {
    spdlog::error("worker.not_adoptable error=\"{}\"", listener.error().what);
  }
}

/// Somebody wants to be our supervisor.
void Worker::OnAdopter() {
  auto peer = AcceptPackets(adopters_);
  if (!peer) return;
  BrokerChannel channel(std::move(peer->socket));
  auto offered = OfferState(channel, app_->daemon(), app_->CopyOfLock(), app_->Kept());
  if (!offered) {
    spdlog::error("worker.not_adopted error=\"{}\"", offered.error().what);
    return;
  }
  broker_.Reconnect(std::move(channel));
  alone_ = false;
  StopListening();
}

void Worker::StopListening() {
  if (!adopters_) return;
  adopters_.Reset();
  ::unlink(AdoptionPath(app_->daemon().control_socket).c_str());
}

void Worker::EndIfAlone() {
  if (alone_ && app_->Mountpoints().empty()) ending_ = true;
}

/// Nobody else is left to do it.
void Worker::DetachMounts() {
  const auto mounter = MakeSystemMounter();
  const auto table = MountTable::Read();
  for (const std::string& mountpoint : app_->Mountpoints()) {
    const auto entry = table ? table->Find(mountpoint) : std::nullopt;
    if (!entry || entry->fs_type != kFsType) continue;
    auto done = mounter->Unmount(mountpoint, entry->device_minor, UnmountMode::kLazy);
    if (!done) spdlog::error("worker.unmount_failed error=\"{}\"", done.error().what);
  }
}

void Worker::MountLoop() {
  for (;;) {
    std::variant<AddMountMessage, ResumeMountMessage> wish;
    {
      MutexLock lock(mutex_);
      while (wanted_.empty() && !no_more_) wanted_changed_.Wait(mutex_);
      if (no_more_) return;
      wish = std::move(wanted_.front());
      wanted_.pop_front();
    }
    std::visit(
        [this](auto& wanted) {
          if (auto done = Do(wanted); !done) {
            broker_.Send(
                FailedMessage{.request = wanted.request, .error = std::move(done.error())});
          }
        },
        wish);
  }
}

Result<void> Worker::Do(const AddMountMessage& wish) {
  const auto policy = wish.again ? SourcePolicy::kMayBeDown : SourcePolicy::kMustAnswer;
  return app_->Mount(wish.mount, policy, wish.request);
}

Result<void> Worker::Do(ResumeMountMessage& wish) {
  Fd nodes;
  Fd requests;
  {
    MutexLock lock(mutex_);
    nodes = std::move(nodes_[wish.session]);
    nodes_.erase(wish.session);
    requests = std::move(requests_[wish.session]);
    requests_.erase(wish.session);
  }
  return app_->Resume(wish.mount,
                      {.session = wish.session,
                       .init = std::move(wish.init),
                       .device = std::move(wish.device),
                       .nodes = std::move(nodes),
                       .requests = std::move(requests),
                       .minor = wish.minor},
                      wish.request);
}

int Worker::End() {
  spdlog::info("worker.ending");
  StopListening();
  app_->BeginStop();
  {
    MutexLock lock(mutex_);
    no_more_ = true;
    wanted_changed_.NotifyOne();
  }
  mounting_.join();
  const bool clean = app_->Stop(stop_mode_);
  broker_.Send(ByeMessage{});
  spdlog::info("worker.end clean={}", clean);
  // What an origin still holds, or is being opened, would be destroyed under it by a return.
  if (!clean) std::_Exit(exit_code_);
  return exit_code_;
}

namespace {

/// An object that is open holds two or three descriptors; the usual limit of 1024 is soon reached.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) spdlog::warn("worker.descriptor_limit_kept");
}

}  // namespace

int RunWorker(int broker_fd, FaultPoints* faults) {
  const sigset_t set = WatchedSignals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  if (::fcntl(broker_fd, F_SETFD, FD_CLOEXEC) != 0) return 2;
  SetUpLog("worker", "info");
  RaiseDescriptorLimit();
  Worker worker{BrokerChannel(Fd(broker_fd)), faults};
  return worker.Run();
}

}  // namespace modelfs::fs
