#include "index/evictor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "fetch/base/thread.h"
#include "index/core.h"
#include "index/local_object.h"

namespace modelfs::index {
namespace {

/// What is evicted beyond what is needed, so that not every chunk has to ask.
constexpr std::uint64_t kMostSlack = std::uint64_t{64} << 20;
/// Of an object with more chunks than this single ones are taken.
constexpr std::uint64_t kManyChunks = 64;

}  // namespace

Evictor::Evictor(Core& core, Options options)
    : core_(core), options_(std::move(options)), thread_(StartThread("evict", [this] { Run(); })) {}

Evictor::~Evictor() { Stop(); }

std::uint64_t Evictor::FreeBytes() const {
  constexpr std::uint64_t kPlenty = std::numeric_limits<std::uint64_t>::max();
  // Only asked where it matters. No answer is no reason to evict all.
  if (core_.space->limits().free_floor_bytes == 0) return kPlenty;
  return core_.tier.FreeBytes().value_or(kPlenty);
}

void Evictor::Reserve(std::uint64_t bytes, Grant grant) {
  if (auto reservation = core_.space->TryReserve(bytes, FreeBytes()); reservation) {
    return grant(std::move(reservation));
  }
  {
    const MutexLock lock(mutex_);
    if (!stopping_ && Clock::now() >= hopeless_until_) {
      waiting_.push_back({bytes, std::move(grant)});
      wake_.NotifyOne();
      return;
    }
  }
  grant(std::nullopt);
}

bool Evictor::Post(Task task) {
  const MutexLock lock(mutex_);
  if (stopping_) return false;
  tasks_.push_back(std::move(task));
  wake_.NotifyOne();
  return true;
}

void Evictor::Nudge() {
  const MutexLock lock(mutex_);
  hopeless_until_ = {};
  nudged_ = true;
  wake_.NotifyOne();
}

void Evictor::Stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

void Evictor::Run() {
  MutexLock lock(mutex_);
  for (;;) {
    const auto deadline = Clock::now() + options_.tick;
    while (waiting_.empty() && tasks_.empty() && !stopping_ && !nudged_) {
      if (!wake_.WaitUntil(mutex_, deadline)) break;
    }
    if (!waiting_.empty()) {
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      lock.Unlock();
      Serve(std::move(next));
      lock.Lock();
    } else if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.Unlock();
      task();
      task = nullptr;
      lock.Lock();
    } else if (stopping_) {
      return;
    } else {
      nudged_ = false;
      lock.Unlock();
      Tick();
      lock.Lock();
    }
  }
}

void Evictor::Tick() {
  core_.unread.Expire(Clock::now());
  if (core_.health.degraded() && core_.health.ShouldProbe(options_.tick) &&
      !core_.faults->Hit("local_tier.write") && core_.tier.Probe()) {
    core_.health.Heal();
  }
  MakeRoom(0);
}

void Evictor::Serve(Waiting waiting) {
  std::optional<SpaceReservation> reservation;
  // Somebody else may take the room that was made: again then.
  while (!core_.closing && MakeRoom(waiting.bytes)) {
    reservation = core_.space->TryReserve(waiting.bytes, FreeBytes());
    if (reservation) break;
  }
  if (!reservation) {
    const MutexLock lock(mutex_);
    hopeless_until_ = Clock::now() + kHopeless;
  }
  waiting.grant(std::move(reservation));
}

/// False when nothing is left that may be evicted.
bool Evictor::MakeRoom(std::uint64_t more) {
  for (;;) {
    const CacheLimits limits = core_.space->limits();
    const std::uint64_t slack = std::min(kMostSlack, limits.size_bytes / 64);
    if (limits.size_bytes > 0 && more > limits.size_bytes) return false;
    const std::uint64_t missing = core_.space->Missing(more, FreeBytes());
    if (missing == 0) return true;
    std::uint64_t freed = EvictClosed(missing + slack, limits);
    if (core_.space->limits() != limits) continue;
    if (freed < missing) freed += EvictChunks(options_.alive(), missing + slack - freed);
    if (freed == 0) return false;
  }
}

/// Stops early when `limits` hold no more: what had to go then may perhaps stay.
std::uint64_t Evictor::EvictClosed(std::uint64_t goal, const CacheLimits& limits) {
  std::uint64_t freed = 0;
  for (const auto& [digest, known] : core_.space->Candidates()) {
    if (freed >= goal || core_.space->limits() != limits) break;
    const std::shared_ptr<LocalObject> object = options_.open(digest);
    if (!object) {
      core_.space->Remove(digest);
      continue;
    }
    if (object->InUse()) continue;
    object->AwaitLoaded();
    const bool chunks = object->chunks().count() > kManyChunks &&
                        object->chunks().present_chunks() > 0 &&
                        known.allocated_bytes / 2 > goal - freed;
    if (chunks) {
      const std::uint64_t taken = EvictChunks({object}, goal - freed);
      freed += taken;
      if (taken > 0) continue;
    }
    std::uint64_t bytes = 0;
    if (object->EvictWhole(bytes) == LocalObject::Eviction::kGone) freed += bytes;
  }
  return freed;
}

std::uint64_t Evictor::EvictChunks(const std::vector<std::shared_ptr<LocalObject>>& objects,
                                   std::uint64_t goal) {
  struct Use {
    std::uint32_t when;
    std::uint32_t object;
    std::uint64_t chunk;
  };
  std::vector<Use> uses;
  for (std::uint32_t i = 0; i < objects.size(); ++i) {
    const auto known = core_.space->Find(objects[i]->digest());
    if (!known || known->pinned) continue;
    objects[i]->ForEachEvictable(
        [&](std::uint64_t chunk, std::uint32_t when) { uses.push_back({when, i, chunk}); });
  }
  const std::uint64_t chunk_size = core_.tier.chunk_size_bytes();
  const std::size_t wanted =
      std::min<std::size_t>(uses.size(), (goal + chunk_size - 1) / chunk_size);
  // The least recently used; of equal ones the last, because heads are read first.
  std::partial_sort(uses.begin(), uses.begin() + static_cast<std::ptrdiff_t>(wanted), uses.end(),
                    [](const Use& a, const Use& b) {
                      return std::pair(a.when, ~a.chunk) < std::pair(b.when, ~b.chunk);
                    });
  std::map<std::uint32_t, std::vector<std::uint64_t>> by_object;
  for (std::size_t i = 0; i < wanted; ++i) by_object[uses[i].object].push_back(uses[i].chunk);
  std::uint64_t freed = 0;
  for (auto& [i, chunks] : by_object) {
    std::sort(chunks.begin(), chunks.end());
    freed += objects[i]->EvictChunks(chunks);
  }
  return freed;
}

}  // namespace modelfs::index
