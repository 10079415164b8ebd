#pragma once

#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "index/cache.h"
#include "tests/unit/fs/plain_cache.h"

namespace modelfs::test {

/// A read that waits for the test.
struct HeldRead {
  std::uint64_t offset;
  std::span<std::byte> destination;
  Done<std::size_t> done;

  void Succeed(std::byte fill) {
    std::memset(destination.data(), static_cast<int>(fill), destination.size());
    done(destination.size());
  }
};

/// A cache whose reads are answered when the test says so.
/// Threads: any.
class HeldCache final : public PlainCache, public std::enable_shared_from_this<HeldCache> {
 public:
  class Object final : public index::CachedObject {
   public:
    Object(fetch::ObjectId id, std::shared_ptr<HeldCache> cache)
        : id_(std::move(id)), cache_(std::move(cache)) {}
    const fetch::ObjectId& id() const override { return id_; }
    void Read(std::uint64_t offset, std::span<std::byte> dst, Done<std::size_t> done) override {
      MutexLock lock(cache_->mutex_);
      cache_->reads_.push_back({offset, dst, std::move(done)});
      cache_->changed_.NotifyAll();
    }
    std::optional<std::size_t> TryReadNow(std::uint64_t, std::span<std::byte>) override {
      return std::nullopt;
    }
    void Want(ByteRange range, index::Priority) override {
      MutexLock lock(cache_->mutex_);
      cache_->wanted_.push_back(range);
    }
    void FetchAll(index::Priority, Done<void> done) override { done({}); }
    index::ObjectStatus Status() const override { return {.id = id_}; }

   private:
    const fetch::ObjectId id_;
    const std::shared_ptr<HeldCache> cache_;
  };

  std::shared_ptr<index::CachedObject> Get(const fetch::ObjectId& id,
                                           std::shared_ptr<fetch::Origin>) override {
    return std::make_shared<Object>(id, shared_from_this());
  }
  std::optional<index::ObjectStatus> Find(const fetch::ObjectId&) const override {
    return std::nullopt;
  }
  index::CacheStats Stats() const override { return {}; }
  void Verify(std::vector<fetch::ObjectId>, std::move_only_function<bool(std::uint64_t)>,
              Done<index::VerifyReport> done) override {
    done(index::VerifyReport{});
  }

  /// Waits for a read to arrive; nullopt after ten seconds.
  std::optional<HeldRead> NextRead() {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    MutexLock lock(mutex_);
    while (reads_.empty()) {
      if (!changed_.WaitUntil(mutex_, limit)) return std::nullopt;
    }
    HeldRead read = std::move(reads_.front());
    reads_.pop_front();
    return read;
  }
  std::vector<ByteRange> wanted() const {
    MutexLock lock(mutex_);
    return wanted_;
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<HeldRead> reads_ GUARDED_BY(mutex_);
  std::vector<ByteRange> wanted_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::test
