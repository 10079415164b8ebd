#include "index/shared/shared_tier.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>
#include <stop_token>
#include <utility>

#include "fetch/base/await.h"
#include "index/shared/dir_files.h"
#include "index/shared/shared_object.h"
#include "index/shared/shared_sweeper.h"

namespace modelfs::index::shared {
namespace {

constexpr std::chrono::milliseconds kStopLimit{2000};
/// What is made free when something did not fit.
constexpr std::uint64_t kFreeWhenFull = 1u << 30;

std::string NewInstance() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

std::chrono::milliseconds RandomUpTo(std::chrono::milliseconds most) {
  std::random_device random;
  return std::chrono::milliseconds(random() % (static_cast<unsigned>(most.count()) + 1));
}

}  // namespace

SharedTier::SharedTier(SharedOptions options, std::uint32_t chunk_bytes, FaultPoints* faults)
    : options_(std::move(options)),
      block_bytes_(std::min<std::uint32_t>(chunk_bytes, 1u << 20)),
      faults_(faults != nullptr ? faults : &no_faults_),
      files_(options_.files ? options_.files : std::make_shared<DirFiles>(options_.directory)),
      heartbeat_(files_, NewInstance()),
      claims_from_(Clock::now() + RandomUpTo(options_.start_jitter)) {}

SharedTier::~SharedTier() = default;

std::shared_ptr<SharedTier> SharedTier::Open(SharedOptions options, std::uint32_t chunk_bytes,
                                             FaultPoints* faults) {
  auto tier = std::make_shared<SharedTier>(std::move(options), chunk_bytes, faults);
  tier->pool_ = std::make_unique<IoPool>(IoPool::Options{
      .timer = &tier->timer_, .breach = [weak = std::weak_ptr(tier)](std::string_view what) {
        if (const auto t = weak.lock()) t->Hangs(what);
      }});
  Await<void> asked;
  tier->Ask(asked.done());
  std::ignore = asked.Wait();  // By its deadline, whatever the answer is.
  tier->ArmTick();
  return tier;
}

void SharedTier::Stop() {
  stopped_ = true;
  pool_->Stop(kStopLimit);
  timer_.End();  // Here: the last reference may go on any thread.
}

/// What the directory can do: at the start, and after it did not answer.
void SharedTier::Ask(Done<void> done) {
  pool_->Run<SharedRoot::Found>(
      "probe", kReadLimit,
      [files = files_, size = options_.segment_bytes, name = heartbeat_.instance(),
       faults = faults_]() -> Result<SharedRoot::Found> {
        if (auto fault = faults->Hit("shared.probe"); fault) {
          return std::unexpected(*std::move(fault));
        }
        return SharedRoot::Look(*files, size, name);
      },
      [self = shared_from_this(),
       done = std::move(done)](const Result<SharedRoot::Found>& found) mutable {
        self->Answered(found);
        done({});
      });
}

void SharedTier::Answered(const Result<SharedRoot::Found>& found) {
  if (!found) {
    if (found.error().code == Errc::kCancelled) return;
    // What another replica has just made may not show yet.
    const bool soon = found.error().code == Errc::kNotFound;
    if (health_.Down(found.error().what, soon ? kTick : TierHealth::kRetry)) {
      spdlog::warn("shared.unusable directory={} error=\"{}\"", options_.directory.string(),
                   found.error().what);
    }
    return;
  }
  bool first = false;
  {
    const MutexLock lock(mutex_);
    first = !found_;
    // One size for the life of its objects.
    const std::uint64_t size = found_ ? found_->segment_bytes : found->segment_bytes;
    found_ = *found;
    found_->segment_bytes = size;
  }
  const bool was_down = !health_.answers();
  health_.Up();
  if (!first && !was_down) return;
  spdlog::info(
      "shared.open directory={} filesystem={} mode={} o_excl={} links={} renames={} "
      "clock_skew_ms={} "
      "segment_bytes={} free_bytes={} instance={} reason=\"{}\"",
      files_->Describe(), found->filesystem, found->writable ? "read-write" : "read-only",
      found->exclusive, found->links, found->renames, found->skew_ms, found->segment_bytes,
      found->free_bytes, heartbeat_.instance(), found->why);
  NudgeAll();
}

void SharedTier::Hangs(std::string_view what) {
  if (!health_.Down(fmt::format("{} does not answer", what))) return;
  counters_.brownouts.fetch_add(1, std::memory_order_relaxed);
  spdlog::warn("shared.browned_out directory={} call={}", options_.directory.string(), what);
  pool_->Flush();
  NudgeAll();
}

std::shared_ptr<SharedObject> SharedTier::Object(const fetch::ObjectId& id,
                                                 std::weak_ptr<LocalCopy> copy) {
  auto object = std::make_shared<SharedObject>(shared_from_this(), id, std::move(copy));
  const MutexLock lock(mutex_);
  std::erase_if(objects_, [](const auto& weak) { return weak.expired(); });
  objects_.push_back(object);
  return object;
}

std::vector<std::shared_ptr<SharedObject>> SharedTier::Objects() const {
  std::vector<std::shared_ptr<SharedObject>> objects;
  const MutexLock lock(mutex_);
  for (const auto& weak : objects_) {
    if (auto object = weak.lock()) objects.push_back(std::move(object));
  }
  return objects;
}

void SharedTier::NudgeAll() {
  for (const auto& object : Objects()) object->Nudge();
}

std::optional<std::uint64_t> SharedTier::segment_bytes() const {
  const MutexLock lock(mutex_);
  if (!found_) return std::nullopt;
  return found_->segment_bytes;
}

bool SharedTier::Answers() const {
  if (stopped_ || !health_.answers()) return false;
  const MutexLock lock(mutex_);
  return found_.has_value();
}

bool SharedTier::MayPublish() const {
  if (stopped_ || !health_.answers() || health_.slow()) return false;
  const MutexLock lock(mutex_);
  return found_ && found_->writable && found_->exclusive && Clock::now() >= publish_from_;
}

void SharedTier::Failed(const Error& error) {
  if (error.code == Errc::kCancelled) return;
  counters_.errors.fetch_add(1, std::memory_order_relaxed);
}

void SharedTier::Quarantined(const SegmentFolder& folder, std::uint64_t index, const Error& error) {
  counters_.quarantined.fetch_add(1, std::memory_order_relaxed);
  const auto moved = folder.Quarantine(index);
  spdlog::warn("shared.quarantined object={} segment={} moved={} error=\"{}\"", folder.path(),
               index, moved.has_value(), error.what);
}

void SharedTier::WriteFailed(const Error& error) {
  if (error.code == Errc::kCancelled) return;
  Failed(error);
  if (error.code == Errc::kNotFound) return;  // Somebody has wiped it; folders are made anew.
  bool news = false;
  {
    const MutexLock lock(mutex_);
    news = Clock::now() >= publish_from_;
    publish_from_ = Clock::now() + kPublishAgain;
    if (error.code == Errc::kNoSpace) {
      full_ = true;
      sweep_at_ = {};
    }
  }
  if (news)
    spdlog::warn("shared.publish_failed code={} error=\"{}\"", ToString(error.code), error.what);
}

std::chrono::milliseconds SharedTier::JitterLeft() const {
  return std::max(
      std::chrono::milliseconds(0),
      std::chrono::duration_cast<std::chrono::milliseconds>(claims_from_ - Clock::now()));
}

bool SharedTier::ReserveWrite(std::uint64_t bytes) {
  if (writing_bytes_.fetch_add(bytes) + bytes <= kMostWriting) return true;
  writing_bytes_ -= bytes;
  return false;
}

void SharedTier::Requested(std::uint64_t bytes) {
  if (bytes == 0) return;
  ahead_bytes_ -= bytes;
  if (!MayUndertake()) return;
  std::vector<std::weak_ptr<SharedObject>> turns;
  {
    const MutexLock lock(mutex_);
    turns.swap(turns_);
  }
  for (const auto& weak : turns) {
    if (const auto object = weak.lock()) object->Nudge();
  }
}

void SharedTier::AwaitTurn(std::weak_ptr<SharedObject> object) {
  const MutexLock lock(mutex_);
  const auto same = [&](const auto& other) {
    return !other.owner_before(object) && !object.owner_before(other);
  };
  if (std::ranges::none_of(turns_, same)) turns_.push_back(std::move(object));
}

void SharedTier::ArmTick() {
  timer_.After(kTick, std::stop_token(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->stopped_) return;
    self->Tick();
    self->ArmTick();
  });
}

void SharedTier::Tick() {
  if (health_.RetryDue()) {
    Ask([](const Result<void>&) {});
    return;
  }
  if (!Answers()) return;
  bool beat = false;
  bool mark = false;
  bool sweep = false;
  {
    const MutexLock lock(mutex_);
    const Clock::time_point now = Clock::now();
    if (claims_held_ > 0 && now - beaten_ >= Heartbeat::kInterval) {
      beat = true;
      beaten_ = now;
    }
    sweep = !sweeping_ && found_ && found_->writable && now >= sweep_at_;
    if (sweep) {
      sweeping_ = true;
      sweep_at_ = now + kSweep;
    }
    if (now - marked_ >= kMarkUse) {
      mark = true;
      marked_ = now;
    }
  }
  if (beat) {
    pool_->Run<void>(
        "heartbeat", kPublishLimit,
        [self = shared_from_this()]() -> Result<void> {
          if (auto fault = self->faults_->Hit("shared.heartbeat"); fault) {
            return std::unexpected(*std::move(fault));
          }
          return self->heartbeat_.Beat();
        },
        [self = shared_from_this()](const Result<void>& beaten) {
          if (!beaten) self->Failed(beaten.error());
        });
  }
  if (sweep) StartSweep();
  if (mark) {
    for (const auto& object : Objects()) object->MarkUse();
  }
}

void SharedTier::StartSweep() {
  bool full = false;
  {
    const MutexLock lock(mutex_);
    full = std::exchange(full_, false);
  }
  const SharedSweeper::Options options{
      .limit = options_.limit,
      .limit_is_percent = options_.limit_is_percent,
      .free_bytes = full ? kFreeWhenFull : 0,
      .unused = options_.unused,
      .interval = full ? std::chrono::milliseconds(0) : std::chrono::milliseconds(kSweep)};
  pool_->Run<SharedSweeper::Swept>(
      "sweep", kSweepLimit,
      [self = shared_from_this(), options]() -> Result<SharedSweeper::Swept> {
        if (auto fault = self->faults_->Hit("shared.sweep"); fault) {
          return std::unexpected(*std::move(fault));
        }
        return SharedSweeper(self->files_, self->heartbeat_, options, self->stopped_).Sweep();
      },
      [self = shared_from_this()](const Result<SharedSweeper::Swept>& swept) {
        if (!swept) self->Failed(swept.error());
        if (swept) {
          self->counters_.evicted_objects.fetch_add(swept->objects, std::memory_order_relaxed);
        }
        const MutexLock lock(self->mutex_);
        self->sweeping_ = false;
      });
}

SharedStats SharedTier::Stats() const {
  SharedStats s{.directory = options_.directory.string(),
                .usable = Answers() && !health_.slow(),
                .reason = health_.reason(),
                .read_bytes = counters_.read_bytes,
                .origin_bytes = counters_.origin_bytes,
                .published_segments = counters_.published_segments,
                .published_bytes = counters_.published_bytes,
                .claims = counters_.claims,
                .takeovers = counters_.takeovers,
                .hedges = counters_.hedges,
                .brownouts = counters_.brownouts,
                .quarantined = counters_.quarantined,
                .evicted_objects = counters_.evicted_objects,
                .errors = counters_.errors};
  const MutexLock lock(mutex_);
  s.filesystem = found_ ? found_->filesystem : "unknown";
  s.mode = !found_ ? "off" : found_->writable && found_->exclusive ? "read-write" : "read-only";
  if (s.reason.empty() && found_) s.reason = found_->why;
  return s;
}

}  // namespace modelfs::index::shared
