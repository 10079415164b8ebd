#include "fs/session/request_record.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <thread>
#include <utility>

namespace modelfs::fs {
namespace {

constexpr std::array kMagic{'M', 'F', 'S', 'R', 'E', 'Q', 'S', '1'};
constexpr std::size_t kSlots = 4096;
constexpr std::size_t kSlotBytes = 512;
/// The kernel's numbers go up by two; only requests that are thousands of others old collide.
constexpr std::size_t kProbes = 64;
constexpr std::size_t kTouchedBytes = 8192;
constexpr std::size_t kTouchStep = 1024;  // Landings do not begin with a page.
constexpr std::uint64_t kClaimed = ~std::uint64_t{0};

/// What has no answer, or one that is not waited for.
constexpr std::array<std::uint32_t, 5> kUnansweredOpcodes{2, 42, 36, 41, kFuseInitOpcode};

struct Slot {
  std::atomic<std::uint64_t> unique;
  std::uint32_t length;
  std::byte message[kSlotBytes - sizeof(std::uint64_t) - sizeof(std::uint32_t) - 4];
};
static_assert(sizeof(Slot) == kSlotBytes);

std::size_t HomeOf(std::uint64_t unique) { return (unique / 2) % kSlots; }

}  // namespace

struct RequestRecord::Layout {
  std::array<char, 8> magic;
  std::atomic<std::uint64_t> greeted;
  Slot slots[kSlots];
  std::byte landings[kLandings][kMaxFuseMessageBytes];
};

Result<std::shared_ptr<RequestRecord>> RequestRecord::Create() {
  Fd fd(::memfd_create("modelfs-requests", MFD_CLOEXEC));
  if (!fd) return FailErrno(errno, "memfd_create");
  if (::ftruncate(fd.get(), sizeof(Layout)) != 0)
    return FailErrno(errno, "size the request record");
  if (::pwrite(fd.get(), kMagic.data(), kMagic.size(), 0) != static_cast<ssize_t>(kMagic.size())) {
    return FailErrno(errno, "write the request record");
  }
  return Map(std::move(fd));
}

Result<std::shared_ptr<RequestRecord>> RequestRecord::Adopt(Fd record) {
  struct stat info;
  std::array<char, 8> magic{};
  if (::fstat(record.get(), &info) != 0) return FailErrno(errno, "the request record");
  const bool sized = info.st_size == static_cast<off_t>(sizeof(Layout));
  if (!sized || ::pread(record.get(), magic.data(), magic.size(), 0) != 8 || magic != kMagic) {
    return Fail(Errc::kCorrupt, "the request record is not one");
  }
  return Map(std::move(record));
}

Result<std::shared_ptr<RequestRecord>> RequestRecord::Map(Fd fd) {
  void* const memory =
      ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return FailErrno(errno, "map the request record");
  auto* const layout = static_cast<Layout*>(memory);
  // A page that is first touched while the kernel copies a request would make a kill in that moment
  // an error of the request.
  for (std::byte* landing : layout->landings) {
    for (std::size_t at = 0; at < kTouchedBytes; at += kTouchStep) {
      volatile std::byte& byte = landing[at];
      byte = byte;
    }
  }
  return std::shared_ptr<RequestRecord>(new RequestRecord(std::move(fd), layout));
}

RequestRecord::~RequestRecord() { ::munmap(layout_, sizeof(Layout)); }

ssize_t RequestRecord::Read(int device, void* buffer, std::size_t size) {
  // There are more landings than threads that read.
  std::size_t mine = 0;
  while (landing_taken_[mine].exchange(true, std::memory_order_acquire)) {
    mine = (mine + 1) % kLandings;
    if (mine == 0) std::this_thread::yield();
  }
  std::byte* const landing = layout_->landings[mine];
  const ssize_t got = ::read(device, landing, std::min(size, kMaxFuseMessageBytes));
  const int error_number = errno;
  if (got >= static_cast<ssize_t>(sizeof(FuseInHeader))) {
    const std::span message(landing, static_cast<std::size_t>(got));
    FuseInHeader header;
    std::memcpy(&header, landing, sizeof header);
    if (std::ranges::find(kUnansweredOpcodes, header.opcode) == kUnansweredOpcodes.end()) {
      Remember(message, header);
    }
    std::memcpy(buffer, landing, message.size());
    std::memset(landing, 0, sizeof(FuseInHeader));
  }
  landing_taken_[mine].store(false, std::memory_order_release);
  errno = error_number;
  return got;
}

void RequestRecord::Remember(std::span<const std::byte> message, const FuseInHeader& header) {
  if (message.size() > sizeof(Slot::message)) return;
  for (std::size_t i = 0; i < kProbes; ++i) {
    Slot& slot = layout_->slots[(HomeOf(header.unique) + i) % kSlots];
    std::uint64_t free = 0;
    if (!slot.unique.compare_exchange_strong(free, kClaimed)) continue;
    slot.length = static_cast<std::uint32_t>(message.size());
    std::ranges::copy(message, slot.message);
    slot.unique.store(header.unique, std::memory_order_release);
    return;
  }
}

void RequestRecord::OnAnswered(std::uint64_t unique) {
  for (std::size_t i = 0; i < kProbes; ++i) {
    Slot& slot = layout_->slots[(HomeOf(unique) + i) % kSlots];
    std::uint64_t expected = unique;
    if (slot.unique.compare_exchange_strong(expected, 0)) return;
  }
}

void RequestRecord::SetGreeted() { layout_->greeted = 1; }
bool RequestRecord::greeted() const { return layout_->greeted != 0; }

std::vector<std::vector<std::byte>> RequestRecord::Unanswered() {
  std::map<std::uint64_t, std::vector<std::byte>> found;
  for (Slot& slot : layout_->slots) {
    // Claimed by somebody who is dead: what was to go there is still in its landing.
    std::uint64_t claimed = kClaimed;
    slot.unique.compare_exchange_strong(claimed, 0);
    const std::uint64_t unique = slot.unique;
    if (unique == 0 || slot.length > sizeof slot.message) continue;
    found[unique].assign(slot.message, slot.message + slot.length);
  }
  for (std::byte* landing : layout_->landings) {
    FuseInHeader header;
    std::memcpy(&header, landing, sizeof header);
    if (header.len < sizeof header || header.len > kMaxFuseMessageBytes) continue;
    const std::span message(landing, header.len);
    if (std::ranges::find(kUnansweredOpcodes, header.opcode) == kUnansweredOpcodes.end() &&
        !found.contains(header.unique)) {
      Remember(message, header);
      found[header.unique].assign(message.begin(), message.end());
    }
    std::memset(landing, 0, sizeof header);
  }
  std::vector<std::vector<std::byte>> messages;
  messages.reserve(found.size());
  for (auto& [unique, message] : found) messages.push_back(std::move(message));
  return messages;
}

Result<Fd> RequestRecord::Share() const {
  Fd copy(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) return FailErrno(errno, "copy the request record's descriptor");
  return copy;
}

bool KernelResends(std::span<const std::byte> init) {
  return (KernelFlags2(init) & kFuseInitFlags2Resend) != 0;
}

}  // namespace modelfs::fs
