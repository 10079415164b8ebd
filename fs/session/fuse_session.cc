#include "fs/session/fuse_session.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "fetch/base/thread.h"

namespace modelfs::fs {
namespace {

constexpr std::chrono::milliseconds kTickPeriod{500};
constexpr std::size_t kTouchedBytes = 16384;
constexpr std::uint32_t kStackedDepth = 2;  // As deep as the kernel lets filesystems be stacked.

/// As libfuse sizes its own buffers: the kernel refuses to write into smaller ones.
std::size_t MessageBytes() {
  return 256 * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + 4096;
}

ssize_t ReadHook(int, void* buffer, std::size_t size, void* operations) noexcept {
  return static_cast<Operations*>(operations)->device().Read(buffer, size);
}

ssize_t WriteHook(int, iovec* parts, int count, void* operations) noexcept {
  return static_cast<Operations*>(operations)->device().Write(parts, count);
}

bool IsInit(std::span<const std::byte> message) {
  FuseInHeader header{};
  if (message.size() < sizeof header) return false;
  std::memcpy(&header, message.data(), sizeof header);
  return header.opcode == kFuseInitOpcode;
}

}  // namespace

Result<std::unique_ptr<Session>> Session::Start(Fd device, std::shared_ptr<Tree> tree,
                                                Options options) {
  auto session = std::make_unique<FuseSession>(std::move(tree), std::move(options));
  auto begun = session->Begin(std::move(device));
  if (!begun) return std::unexpected(std::move(begun.error()));
  return session;
}

FuseSession::FuseSession(std::shared_ptr<Tree> tree, Options options)
    : options_(std::move(options)),
      tree_(std::move(tree)),
      lot_(std::make_shared<ParkingLot>(core_, options_.read_timeout)),
      busy_since_(static_cast<std::size_t>(options_.threads)) {}

FuseSession::~FuseSession() {
  Stop();
  // The lot keeps the core for parked replies; the core must not keep the lot, or neither ends.
  if (core_->operations) core_->operations->UseLot(nullptr);
}

Result<void> FuseSession::Begin(Fd device) {
  core_->device = std::make_unique<Device>(device.get(), options_.faults);
  core_->operations = std::make_unique<Operations>(
      tree_, *core_->device, std::make_shared<Backings>(device.get(), tree_), options_.signatures);
  core_->operations->UseLot(lot_);

  char name[] = "modelfs";
  char* argv[] = {name, nullptr};
  fuse_args args = FUSE_ARGS_INIT(1, argv);
  const fuse_lowlevel_ops& table = Operations::Table();
  core_->session.reset(fuse_session_new(&args, &table, sizeof table, core_->operations.get()));
  fuse_opt_free_args(&args);  // libfuse has replaced them by a copy of its own.
  if (!core_->session) return Fail(Errc::kIo, "fuse_session_new: libfuse refused its options");
  fuse_custom_io io{};
  io.read = ReadHook;
  io.writev = WriteHook;
  if (fuse_session_custom_io(core_->session.get(), &io, device.get()) != 0) {
    return Fail(Errc::kIo, "fuse_session_custom_io: libfuse refused the descriptor");
  }
  device.Release();  // Closed by fuse_session_destroy from here on.

  // Before the first request: it may be of a file that a predecessor has handed to the kernel.
  core_->operations->backings().Start(options_.saved_init.empty() ? Backings::Life::kFirst
                                                                  : Backings::Life::kSuccessor);
  auto greeted = Handshake();
  if (!greeted) return greeted;
  for (std::size_t i = 0; i < busy_since_.size(); ++i) {
    threads_.push_back(StartThread(fmt::format("fuse-{}", i), [this, i] { Loop(i); }));
  }
  threads_.push_back(StartThread("tick", [this] { Tick(); }));
  return {};
}

/// Asked for whenever the kernel offers it: whether it can be used shows when it is. A successor
/// goes by what its predecessor was offered.
void FuseSession::ChoosePassthrough(std::span<const std::byte> init) {
  FuseInHeader header{};
  std::memcpy(&header, init.data(), sizeof header);
  if ((KernelFlags2(init) & kFuseInitFlags2Passthrough) == 0) {
    return core_->operations->backings().Disable("not in this kernel (Linux 6.9 or newer)");
  }
  core_->device->AskForPassthrough(
      header.unique, options_.passthrough == Passthrough::kStacked ? kStackedDepth : 1);
  if (options_.passthrough == Passthrough::kOff) {
    core_->operations->backings().Disable("switched off");
  }
}

Result<void> FuseSession::Handshake() {
  std::vector<std::byte> message(MessageBytes());
  if (!options_.saved_init.empty()) {
    ChoosePassthrough(options_.saved_init);
    if (UsesRecord(options_.saved_init)) {
      TakeOver();
      return {};
    }
    core_->device->AskToResend();
    const ssize_t got = core_->device->ReadNow(message.data(), message.size());
    message.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return Replay(std::move(message));
  }
  const ssize_t got = core_->device->Read(message.data(), message.size());
  if (got < 0) return FailErrno(errno, "reading FUSE_INIT from /dev/fuse");
  message.resize(static_cast<std::size_t>(got));
  if (!IsInit(message)) return Fail(Errc::kInvalid, "the kernel's first request is no FUSE_INIT");
  if (options_.on_init) options_.on_init(message);
  ChoosePassthrough(message);
  if (UsesRecord(message)) core_->device->UseRecord(options_.record);
  Process(message);
  if (options_.record) options_.record->SetGreeted();
  return {};
}

bool FuseSession::UsesRecord(std::span<const std::byte> init) const {
  // Its landings are of that size; larger pages come with kernels that send again.
  return options_.record && MessageBytes() == kMaxFuseMessageBytes &&
         (!options_.resend || !KernelResends(init));
}

/// A successor answers what its predecessor had read, by the record.
void FuseSession::TakeOver() {
  core_->device->UseRecord(options_.record);
  const auto unanswered = options_.record->Unanswered();
  core_->device->SwallowWrites(options_.record->greeted());
  Process(options_.saved_init);
  core_->device->SwallowWrites(false);
  options_.record->SetGreeted();
  spdlog::info("session.took_over requests={}", unanswered.size());
  for (const auto& message : unanswered) Process(message);
}

/// A successor greets libfuse with the FUSE_INIT that its predecessor was sent, unless the kernel
/// sends it again because it was never answered. `first`: what the kernel sent first, or nothing.
Result<void> FuseSession::Replay(std::vector<std::byte> first) {
  if (IsInit(first)) {
    Process(first);
    return {};
  }
  core_->device->SwallowWrites(true);
  Process(options_.saved_init);
  core_->device->SwallowWrites(false);
  if (!first.empty()) Process(first);
  return {};
}

void FuseSession::Process(std::span<const std::byte> message) {
  // libfuse takes the message as mutable but copies what it changes.
  std::vector<std::byte> copy(message.begin(), message.end());
  fuse_buf buffer{};
  buffer.size = copy.size();
  buffer.mem = copy.data();
  fuse_session_process_buf(core_->session.get(), &buffer);
}

void FuseSession::Loop(std::size_t thread) {
  fuse_session* session = core_->session.get();
  fuse_buf buffer{};
  // As libfuse would, but touched: a page that is first touched while the kernel copies a request
  // would make a kill in that moment an error of the request.
  buffer.mem = std::malloc(MessageBytes());  // NOLINT(cppcoreguidelines-no-malloc): freed below.
  if (buffer.mem != nullptr) std::memset(buffer.mem, 0, kTouchedBytes);
  while (!stopping_ && fuse_session_exited(session) == 0) {
    const int got = fuse_session_receive_buf(session, &buffer);
    if (got == -EINTR || got == -EAGAIN) continue;
    if (got <= 0) break;
    busy_since_[thread] = std::chrono::steady_clock::now().time_since_epoch().count();
    fuse_session_process_buf(session, &buffer);
    busy_since_[thread] = 0;
  }
  std::free(buffer.mem);  // NOLINT(cppcoreguidelines-no-malloc): libfuse's malloc.
  if (!stopping_ && !told_unmounted_.exchange(true) && options_.on_unmounted) {
    options_.on_unmounted();
  }
}

void FuseSession::Tick() {
  MutexLock lock(tick_mutex_);
  while (!stopping_) {
    tick_wake_.WaitUntil(tick_mutex_, std::chrono::steady_clock::now() + kTickPeriod);
    lock.Unlock();
    lot_->Expire(std::chrono::steady_clock::now());
    core_->operations->backings().Tick(std::chrono::steady_clock::now());
    lock.Lock();
  }
}

void FuseSession::Stop() {
  EndThreads();
  lot_->Close();
}

void FuseSession::Leave() {
  EndThreads();
  core_->device->SwallowWrites(true);
  lot_->Close();
}

void FuseSession::EndThreads() {
  {
    MutexLock lock(tick_mutex_);
    if (stopping_.exchange(true)) return;
  }
  tick_wake_.NotifyAll();
  if (core_->device) core_->device->Stop();
  threads_.clear();
  if (core_->operations) core_->operations->backings().Close();
}

bool FuseSession::Hangs(std::chrono::milliseconds limit) const {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::ranges::any_of(busy_since_, [&](const auto& since) {
    const std::chrono::steady_clock::duration began(since.load());
    return began.count() != 0 && now - began > limit;
  });
}

PassthroughState FuseSession::passthrough() const { return core_->operations->backings().state(); }

std::size_t FuseSession::Parked() const { return lot_->size(); }

}  // namespace modelfs::fs
