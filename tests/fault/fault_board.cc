#include "tests/fault/fault_board.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "fetch/base/handle.h"

namespace modelfs::test {
namespace {

std::uint64_t NowNs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

FaultBoard::FaultBoard(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return;
  void* const data =
      ::mmap(nullptr, kSlots * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (data != MAP_FAILED) slots_ = {static_cast<Slot*>(data), kSlots};
}

FaultBoard::Slot* FaultBoard::Find(std::string_view point) {
  point = point.substr(0, sizeof Slot::name - 1);
  const auto named = [&](const Slot& slot) { return point == slot.name; };
  const auto found = std::ranges::find_if(slots_, named);
  if (found != slots_.end()) return &*found;
  const MutexLock lock(mutex_);
  for (Slot& slot : slots_) {
    if (named(slot)) return &slot;
    if (slot.name[0] != '\0') continue;
    std::memcpy(slot.name, point.data(), point.size());
    return &slot;
  }
  return nullptr;
}

std::optional<Error> FaultBoard::Hit(std::string_view point) {
  Slot* const slot = Find(point);
  if (slot == nullptr) return std::nullopt;
  slot->hits.fetch_add(1);
  const Action action = slot->action;
  if (action == Action::kNone) return std::nullopt;
  if (slot->countdown.load() > 0 && slot->countdown.fetch_sub(1) > 1) return std::nullopt;
  slot->acted_at = NowNs();
  slot->acted.fetch_add(1);
  switch (action) {
    case Action::kNone: break;
    case Action::kKill:
      slot->action = Action::kNone;  // Once.
      ::kill(::getpid(), SIGKILL);
      for (;;) ::pause();
    case Action::kBlock: {
      slot->waiting.fetch_add(1);
      // Looked at ten times a second: the other side may be gone without a word.
      constexpr timespec kLook{.tv_sec = 0, .tv_nsec = 100'000'000};
      while (slot->action == Action::kBlock) {
        ::syscall(SYS_futex, &slot->action, FUTEX_WAIT, Action::kBlock, &kLook, nullptr, 0);
      }
      slot->waiting.fetch_sub(1);
      break;
    }
    case Action::kFail: return Error{FromErrno(slot->error), std::string(point) + ": told to fail"};
  }
  return std::nullopt;
}

}  // namespace modelfs::test
