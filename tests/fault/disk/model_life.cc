#include "tests/fault/disk/model_life.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "fetch/base/handle.h"
#include "tests/fault/disk/model_objects.h"
#include "tests/support/await.h"

namespace modelfs::test {
namespace {

using Kind = ModelOp::Kind;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kChunk = kModelChunk;
constexpr std::size_t kKeys = 4;
constexpr std::chrono::seconds kLimit{20};

template <class Condition>
bool Eventually(Condition condition) {
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (Clock::now() > deadline) return false;
    // Not a spin: whoever is waited for needs the processor.
    const timespec moment{.tv_sec = 0, .tv_nsec = 100'000};
    static_cast<void>(::ppoll(nullptr, 0, &moment, nullptr));
  }
  return true;
}

}  // namespace

ModelLife::ModelLife(Model& model, const std::vector<ModelOp>& ops, std::filesystem::path directory,
                     index::IoBackend io)
    : model_(model), ops_(ops), directory_(std::move(directory)), io_(io) {}

std::string ModelLife::Run() {
  for (std::size_t i = 0; i < model_.objects; ++i) PutObject(i);
  if (!Open()) return problem_;
  while (model_.step < ops_.size() && problem_.empty()) {
    const ModelOp& op = ops_[model_.step++];
    if (op.kind == Kind::kRestart) break;
    if (op.kind == Kind::kKill || op.kind == Kind::kFlip) Kill(op);
    if (op.kind == Kind::kKillBusy && model_.objects > 0) KillBusy(op);
    before_ = model_.object;
    Play(op);
    Settle();
    CheckAll();
  }
  held_.reset();
  cache_.reset();
  return problem_;
}

void ModelLife::Problem(std::string what) {
  if (problem_.empty()) problem_ = std::move(what);
}

void ModelLife::PutObject(std::size_t object) {
  ids_.push_back(good_->Put(fmt::format("k{}", model_.key[object]), BytesOf(object)));
}

bool ModelLife::Open() {
  index::Cache::Options options;
  options.directory = directory_;
  options.chunk_size_bytes = kChunk;
  options.memory_bytes = 16 * kChunk;
  options.check_interval = std::chrono::milliseconds(2);
  options.io_backend = io_;
  options.faults = &faults_;
  auto cache = index::Cache::Open(options);
  if (!cache) {
    Problem("cannot be opened: " + cache.error().what);
    return false;
  }
  cache_ = std::move(*cache);
  CheckAll();
  return true;
}

void ModelLife::Kill(const ModelOp& op) {
  if (op.kind == Kind::kFlip && model_.objects > 0) Flip(op.a % model_.objects, op.b);
  ::_exit(0);
}

void ModelLife::KillBusy(const ModelOp& op) {
  const std::size_t object = op.a % model_.objects;
  model_.object[object].may = Chunks(0, SizeOf(object));
  static_cast<void>(Get(object));
  Get(object)->FetchAll(index::Priority::kPlan, [](const Result<void>&) {});
  const auto until = Clock::now() + std::chrono::microseconds(op.b % 4000);
  while (Clock::now() < until) std::this_thread::yield();
  ::_exit(0);
}

void ModelLife::Flip(std::size_t object, std::uint32_t where) {
  const std::string digest = ids_[object].Digest();
  const auto file = directory_ / "objects" / digest.substr(0, 2) / digest / "data";
  const Fd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  const std::uint64_t at = where % SizeOf(object);
  char byte = 0;
  if (!fd || ::pread(fd.get(), &byte, 1, static_cast<off_t>(at)) != 1) return;
  byte = static_cast<char>(byte ^ 1);
  static_cast<void>(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(at)));
  model_.object[object].must &= model_.object[object].sealed ? 0 : ~Chunks(at, at + 1);
  model_.object[object].flipped |= Chunks(at, at + 1);
}

std::shared_ptr<index::CachedObject> ModelLife::Get(std::size_t object) {
  return cache_->Get(ids_[object], origin_);
}
bool ModelLife::IsNewest(std::size_t object) const {
  for (std::size_t i = object + 1; i < model_.objects; ++i) {
    if (model_.key[i] == model_.key[object]) return false;
  }
  return true;
}
bool ModelLife::OriginMayFail(std::size_t object) const {
  return origin_faults_ || !IsNewest(object);
}

void ModelLife::Play(const ModelOp& op) {
  const std::size_t object = model_.objects == 0 ? 0 : op.a % model_.objects;
  if (model_.objects == 0 && op.kind != Kind::kChange) return;
  switch (op.kind) {
    case Kind::kRead: return Read(object, op.b, op.c);
    case Kind::kReadNow: return ReadNow(object, op.b);
    case Kind::kFetchAll: return FetchAll(object);
    case Kind::kPin:
    case Kind::kUnpin: return Pin(object, op.kind == Kind::kPin);
    case Kind::kEvict: return Evict(object);
    case Kind::kEvictAll:
      static_cast<void>(EvictIds({}));
      for (std::size_t i = 0; i < model_.objects; ++i) {
        if (!model_.object[i].pinned && !(held_ && held_object_ == i)) Lost(i);
      }
      return;
    case Kind::kHold:
      held_ = Get(object);
      held_object_ = object;
      return;
    case Kind::kRelease: return held_.reset();
    case Kind::kLimit: {
      for (std::size_t i = 0; i < model_.objects; ++i) {
        if (!model_.object[i].pinned) model_.object[i].must = 0;
      }
      limited_ = true;
      cache_->SetLimits({.size_bytes = (1 + op.a % 8) * kChunk});
      Read(op.b % model_.objects, op.c, op.a);
      Settle();
      cache_->SetLimits({});
      // Behind whatever is being evicted still: no reader has to wait for that.
      AwaitEvictor();
      limited_ = false;
      return;
    }
    case Kind::kVerify: return Verify(nullptr);
    case Kind::kRepair: return Verify(&object);
    case Kind::kChange:
      if (model_.objects < kMostModelObjects) {
        model_.key[model_.objects] = op.a % kKeys;
        ++model_.objects;
        PutObject(model_.objects - 1);
      }
      return;
    case Kind::kOriginFault: {
      using enum OriginFault;
      static constexpr std::array<OriginFault, 4> kFaults{kFail, kFailHalf, kShortBody, kChanged};
      for (std::uint32_t i = 0; i <= op.b % 3; ++i) origin_->Then(kFaults[op.a % 4]);
      fault_reads_ = std::max(fault_reads_, origin_->reads()) + op.b % 3 + 1;
      return;
    }
    case Kind::kDiskFault: {
      static constexpr std::array<const char*, 5> kPoints{"local_tier.create", "local_tier.write",
                                                          "local_tier.record", "local_tier.read",
                                                          "local_tier.check"};
      faults_.FailNext(kPoints[op.a % kPoints.size()], {Errc::kNoSpace, "a fault of the test"},
                       op.b % 3);
      disk_faults_ = true;
      return;
    }
    case Kind::kHeal: return Heal();
    case Kind::kSeal: model_.object[object].sealed = true; return Get(object)->WantSealed();
    case Kind::kRestart:
    case Kind::kKill:
    case Kind::kKillBusy:
    case Kind::kFlip: return;  // Ends the life, see Run.
  }
}

void ModelLife::Heal() {
  for (const char* point : {"local_tier.create", "local_tier.write", "local_tier.record",
                            "local_tier.read", "local_tier.check"}) {
    faults_.Heal(point);
  }
  if (!Eventually([&] { return cache_->Stats().health == index::Health::kOk; })) {
    Problem("stays degraded: " + cache_->Stats().health_reason);
  }
  disk_faults_ = false;
}

/// Certain is only what a disk and an origin without faults, and room, make so.
void ModelLife::Touched(std::size_t object) {
  if (disk_faults_) model_.object[object].must = 0;
  touched_.push_back(object);
}
void ModelLife::Lost(std::size_t object) {
  ObjectModel& m = model_.object[object];
  // What could not be removed is still there.
  if (!disk_faults_) m.may = 0;
  m.must = 0;
}

void ModelLife::Read(std::size_t object, std::uint32_t b, std::uint32_t c) {
  const std::vector<std::byte>& wanted = BytesOf(object);
  const std::uint64_t offset = b % wanted.size();
  const std::uint64_t size = 1 + c % std::min<std::uint64_t>(wanted.size() - offset, 3 * kChunk);
  const std::uint32_t chunks = Chunks(offset, offset + size);
  const bool certain = (model_.object[object].must & chunks) == chunks && !disk_faults_;
  Touched(object);
  auto bytes = std::make_shared<std::vector<std::byte>>(size);
  Await<std::size_t> answer;
  Get(object)->Read(offset, *bytes, [bytes, done = answer.done()](Result<std::size_t> n) mutable {
    done(std::move(n));
  });
  const auto n = answer.Wait(kLimit);
  if (!n) {
    const Errc code = n.error().code;
    const bool may = !certain && OriginMayFail(object);
    if (!may || code == Errc::kTimeout) Problem(fmt::format("read: {}", n.error().what));
    return;
  }
  if (*n != size) return Problem(fmt::format("read: {} bytes instead of {}", *n, size));
  if (!std::equal(bytes->begin(), bytes->end(),
                  wanted.begin() + static_cast<std::ptrdiff_t>(offset))) {
    Problem("read: WRONG BYTES");
  }
}

void ModelLife::ReadNow(std::size_t object, std::uint32_t b) {
  const std::vector<std::byte>& wanted = BytesOf(object);
  const std::uint64_t offset = b % wanted.size();
  std::vector<std::byte> bytes(std::min<std::uint64_t>(wanted.size() - offset, 50'000));
  Touched(object);
  const auto n = Get(object)->TryReadNow(offset, bytes);
  if (n &&
      (*n != bytes.size() || !std::equal(bytes.begin(), bytes.end(),
                                         wanted.begin() + static_cast<std::ptrdiff_t>(offset)))) {
    Problem("read from memory: WRONG BYTES");
  }
}

void ModelLife::FetchAll(std::size_t object) {
  const std::uint32_t all = Chunks(0, SizeOf(object));
  const bool certain = model_.object[object].must == all && !disk_faults_;
  Touched(object);
  Await<void> whole;
  Get(object)->FetchAll(index::Priority::kPlan, whole.done());
  const auto result = whole.Wait(kLimit);
  if (result) {
    if (!disk_faults_) {
      ObjectModel& m = model_.object[object];
      m.must = all & ~m.flipped;  // Who fetches does not look at what seems to be there.
      m.may = all;
    }
    return;
  }
  const bool may = !certain && (OriginMayFail(object) || disk_faults_);
  if (!may || result.error().code == Errc::kTimeout) {
    Problem(fmt::format("fetch: {}", result.error().what));
  }
}

void ModelLife::Pin(std::size_t object, bool pinned) {
  Await<void> done;
  if (pinned) {
    cache_->Pin({ids_[object]}, done.done());
  } else {
    cache_->Unpin({ids_[object]}, done.done());
  }
  if (const auto result = done.Wait(kLimit); !result) {
    return Problem("pin: " + result.error().what);
  }
  model_.object[object].pinned = pinned;
}

void ModelLife::AwaitEvictor() {
  Await<void> done;
  cache_->Unpin({}, done.done());
  if (const auto result = done.Wait(kLimit); !result) Problem("limit: " + result.error().what);
}

index::EvictReport ModelLife::EvictIds(std::vector<fetch::ObjectId> ids) {
  Await<index::EvictReport> report;
  cache_->Evict(std::move(ids), report.done());
  const auto result = report.Wait(kLimit);
  if (!result) Problem("evict: " + result.error().what);
  return result ? *result : index::EvictReport{};
}

void ModelLife::Evict(std::size_t object) {
  const ObjectModel& m = model_.object[object];
  const bool held = held_ && held_object_ == object;
  const auto report = EvictIds({ids_[object]});
  const index::EvictReport wanted{.objects = !m.pinned && !held ? 1u : 0u,
                                  .in_use = !m.pinned && held ? 1u : 0u,
                                  .pinned = m.pinned ? 1u : 0u};
  const bool equal = report.objects == wanted.objects && report.in_use == wanted.in_use &&
                     report.pinned == wanted.pinned;
  if (m.must != 0 && !disk_faults_ && !equal) {
    Problem(fmt::format("evict: {} gone, {} in use, {} pinned", report.objects, report.in_use,
                        report.pinned));
  }
  if (!m.pinned && !held) Lost(object);
}

void ModelLife::Verify(const std::size_t* object) {
  for (std::size_t i = 0; i < model_.objects; ++i) {
    if (disk_faults_) model_.object[i].must = 0;
  }
  const bool flips = std::any_of(ops_.begin(), ops_.end(),
                                 [](const ModelOp& op) { return op.kind == Kind::kFlip; });
  Await<index::VerifyReport> report;
  if (object == nullptr) {
    cache_->Verify({}, {}, report.done());
  } else {
    cache_->Repair({{ids_[*object], origin_}}, {}, report.done());
  }
  const auto result = report.Wait(kLimit);
  if (!result) return Problem("verify: " + result.error().what);
  if (result->bad_chunks > 0 && !flips && !disk_faults_) Problem("verify: damage");
}

/// Waits until nothing is under way, and learns from what was asked of the origin.
void ModelLife::Settle() {
  std::uint64_t requests = 0;
  int same = 0;
  const bool quiet = Eventually([&] {
    const auto stats = cache_->Stats();
    const bool still =
        stats.buffer_bytes == 0 && stats.fetches_in_flight == 0 && stats.fetch_requests == requests;
    requests = stats.fetch_requests;
    same = still ? same + 1 : 0;
    return same >= 3;
  });
  if (!quiet) Problem(fmt::format("{} bytes of buffers stay", cache_->Stats().buffer_bytes));
  const auto asked = good_->requests();
  for (; seen_ < asked.size(); ++seen_) Learn(asked[seen_]);
  origin_faults_ = fault_reads_ > origin_->reads();
  touched_.clear();
}

void ModelLife::Learn(const FakeOrigin::Request& request) {
  // The newest of the key, or one of those before that was touched: requests do not say.
  for (std::size_t i = 0; i < model_.objects; ++i) {
    if (request.key != fmt::format("k{}", model_.key[i])) continue;
    if (request.range.end > SizeOf(i)) continue;
    if (std::find(touched_.begin(), touched_.end(), i) == touched_.end()) continue;
    const std::uint32_t chunks = Chunks(request.range.begin, request.range.end);
    ObjectModel& m = model_.object[i];
    if ((before_[i].must & chunks) != 0 && !disk_faults_ && !limited_) {
      Problem(fmt::format("object {}: fetched again: [{},{})", i, request.range.begin,
                          request.range.end));
    }
    if (!IsNewest(i)) continue;
    m.may |= chunks;
    const bool certain = !origin_faults_ && !disk_faults_ && !limited_;
    if (certain) m.must |= chunks;
  }
}

void ModelLife::CheckAll() {
  for (std::size_t i = 0; i < model_.objects; ++i) {
    const ObjectModel& m = model_.object[i];
    const auto status = cache_->Find(ids_[i]);
    const std::uint64_t cached = status ? status->cached_bytes : 0;
    if (cached < BytesIn(i, m.must) || cached > BytesIn(i, m.may)) {
      Problem(fmt::format("object {}: {} bytes are cached, the model has {} to {}", i, cached,
                          BytesIn(i, m.must), BytesIn(i, m.may)));
    }
    if ((status && status->pinned) != m.pinned) {
      Problem(fmt::format("object {}: pinned is {}", i, !m.pinned));
    }
    if (status && status->whole != (cached == SizeOf(i))) {
      Problem(fmt::format("object {}: whole is {}", i, status->whole));
    }
  }
}

}  // namespace modelfs::test
