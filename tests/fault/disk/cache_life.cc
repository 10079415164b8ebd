#include "tests/fault/disk/cache_life.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "tests/support/await.h"

namespace modelfs::test {
namespace {

constexpr std::size_t kPiece = 100'000;
constexpr std::chrono::seconds kLimit{20};

}  // namespace

CacheLife::CacheLife(index::Cache::Options options) : options_(std::move(options)) {}

CacheLife::~CacheLife() { Close(); }

index::Cache::Options CacheLife::Options(const std::filesystem::path& directory,
                                         index::IoBackend io) {
  index::Cache::Options options;
  options.directory = directory;
  options.chunk_size_bytes = kChunk;
  options.memory_bytes = 32 * kChunk;
  options.check_interval = std::chrono::milliseconds(2);
  options.io_backend = io;
  return options;
}

void CacheLife::Put(const std::string& key, std::uint64_t size) {
  bytes_[key] = MakeBytes(std::hash<std::string>()(key) ^ size, size);
  ids_[key] = origin_->Put(key, bytes_[key]);
}

bool CacheLife::Open(Error* error) {
  auto cache = index::Cache::Open(options_);
  if (!cache) {
    if (error != nullptr) *error = cache.error();
    return false;
  }
  cache_ = std::move(*cache);
  return true;
}

void CacheLife::Close() { cache_.reset(); }

std::vector<std::string> CacheLife::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, id] : ids_) keys.push_back(key);
  return keys;
}

std::shared_ptr<index::CachedObject> CacheLife::Get(const std::string& key) {
  return cache_->Get(ids_.at(key), origin_);
}

void CacheLife::ReadAll(const std::string& key) {
  const auto object = Get(key);
  const std::vector<std::byte>& wanted = bytes_.at(key);
  struct Piece {
    std::vector<std::byte> bytes;
    Await<std::size_t> answer;
  };
  std::vector<std::shared_ptr<Piece>> pieces;
  for (std::size_t at = 0; at < wanted.size(); at += kPiece) {
    auto piece = std::make_shared<Piece>();
    piece->bytes.resize(std::min(kPiece, wanted.size() - at));
    // Kept alive by its completion: a read that is late must not write into freed memory.
    object->Read(at, piece->bytes,
                 [piece, done = piece->answer.done()](Result<std::size_t> n) mutable {
                   done(std::move(n));
                 });
    pieces.push_back(std::move(piece));
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto n = pieces[i]->answer.Wait(kLimit);
    const std::size_t at = i * kPiece;
    if (!n) {
      Problem(
          fmt::format("read {} at {}: {} {}", key, at, ToString(n.error().code), n.error().what));
    } else if (*n != pieces[i]->bytes.size()) {
      Problem(fmt::format("read {} at {}: {} bytes", key, at, *n));
    } else if (!std::equal(pieces[i]->bytes.begin(), pieces[i]->bytes.end(),
                           wanted.begin() + static_cast<std::ptrdiff_t>(at))) {
      Problem(fmt::format("read {} at {}: WRONG BYTES", key, at));
    }
  }
}

void CacheLife::ReadNow(const std::string& key) {
  const auto object = Get(key);
  const std::vector<std::byte>& wanted = bytes_.at(key);
  std::vector<std::byte> piece(kPiece);
  for (std::size_t at = 0; at < wanted.size(); at += kPiece) {
    const auto n = object->TryReadNow(at, piece);
    if (!n) continue;
    if (*n != std::min(kPiece, wanted.size() - at) ||
        !std::equal(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*n),
                    wanted.begin() + static_cast<std::ptrdiff_t>(at))) {
      Problem(fmt::format("read {} at {} from memory: WRONG BYTES", key, at));
    }
  }
}

bool CacheLife::FetchAll(const std::string& key) {
  Await<void> whole;
  const auto object = Get(key);
  object->FetchAll(index::Priority::kPlan, whole.done());
  const auto result = whole.Wait(kLimit);
  if (!result && result.error().code == Errc::kTimeout) {
    Problem(fmt::format("fetch {}: no answer", key));
  }
  return result.has_value();
}

bool CacheLife::Pin(const std::string& key, bool pinned) {
  Await<void> done;
  if (pinned) {
    cache_->Pin({IdOf(key)}, done.done());
  } else {
    cache_->Unpin({IdOf(key)}, done.done());
  }
  const auto result = done.Wait(kLimit);
  if (!result && result.error().code == Errc::kTimeout) {
    Problem(fmt::format("pin {}: no answer", key));
  }
  return result.has_value();
}

index::EvictReport CacheLife::Evict(const std::vector<std::string>& keys) {
  std::vector<fetch::ObjectId> ids;
  for (const std::string& key : keys) ids.push_back(IdOf(key));
  Await<index::EvictReport> report;
  cache_->Evict(std::move(ids), report.done());
  const auto result = report.Wait(kLimit);
  if (!result) Problem("evict: " + result.error().what);
  return result ? *result : index::EvictReport{};
}

Result<index::VerifyReport> CacheLife::Verify() {
  Await<index::VerifyReport> report;
  cache_->Verify({}, {}, report.done());
  auto result = report.Wait(kLimit);
  if (!result && result.error().code == Errc::kTimeout) Problem("verify: no answer");
  return result;
}

template <class Condition>
bool CacheLife::Eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

void CacheLife::AwaitQuiet() {
  if (!Eventually([&] { return cache_->Stats().buffer_bytes == 0; })) {
    Problem(fmt::format("{} bytes of buffers are not given back", cache_->Stats().buffer_bytes));
  }
}

bool CacheLife::AwaitHealthy() {
  const bool healthy = Eventually([&] { return cache_->Stats().health == index::Health::kOk; });
  if (!healthy) Problem("stays degraded: " + cache_->Stats().health_reason);
  return healthy;
}

void CacheLife::KeepAll(const std::string& key) {
  const bool kept = Eventually([&] { return FetchAll(key); });
  if (!kept) {
    Problem(fmt::format("{} is not kept: {}; {}", key, cache_->Stats().health_reason,
                        cache_->Stats().last_problem));
  }
  const auto status = cache_->Find(IdOf(key));
  if (kept && (!status || !status->whole)) {
    const index::CacheStats stats = cache_->Stats();
    Problem(fmt::format(
        "{} was fetched, but is not whole: {} bytes; {} of {} allocated, {} objects evicted", key,
        status ? status->cached_bytes : 0, stats.allocated_bytes, stats.limit_bytes,
        stats.evicted_objects));
  }
}

std::uint64_t CacheLife::BlocksOnDisk() const {
  std::uint64_t blocks = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(options_.directory / "objects")) {
    struct ::stat info{};
    if (::lstat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      blocks += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
  }
  return blocks;
}

std::uint64_t CacheLife::ObjectsOnDisk() const {
  std::uint64_t objects = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(options_.directory / "objects")) {
    if (entry.path().filename() == "map") ++objects;
  }
  return objects;
}

void CacheLife::CheckCounts() {
  const auto stats = cache_->Stats();
  const std::uint64_t blocks = BlocksOnDisk();
  if (stats.allocated_bytes != blocks) {
    Problem(
        fmt::format("{} bytes of blocks are there, {} are counted", blocks, stats.allocated_bytes));
  }
  const std::uint64_t objects = ObjectsOnDisk();
  if (stats.objects != objects) {
    Problem(fmt::format("{} objects are there, {} are counted", objects, stats.objects));
  }
  std::uint64_t bytes = 0;
  for (const auto& [key, id] : ids_) {
    if (const auto status = cache_->Find(id)) bytes += status->cached_bytes;
  }
  if (stats.cached_bytes != bytes) {
    Problem(fmt::format("{} bytes are cached, {} are counted", bytes, stats.cached_bytes));
  }
}

void CacheLife::Problem(std::string what) {
  if (problem_.empty()) problem_ = std::move(what);
}

}  // namespace modelfs::test
