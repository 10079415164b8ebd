#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "index/cache.h"
#include "tests/support/fake_origin.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {

/// A cache in a directory of its own over a FakeOrigin.
class CacheFixture : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kChunk = 256 << 10;
  static constexpr std::chrono::seconds kLimit{20};

  index::Cache::Options MakeOptions() {
    index::Cache::Options options;
    options.directory = dir_.path() / "cache";
    options.chunk_size_bytes = kChunk;
    return options;
  }

  void OpenCache() { OpenCache(MakeOptions()); }
  void OpenCache(index::Cache::Options options) {
    cache_.reset();
    auto cache = index::Cache::Open(std::move(options));
    ASSERT_TRUE(cache) << cache.error().what;
    cache_ = std::move(*cache);
  }

  std::shared_ptr<index::CachedObject> Get(const std::string& key) {
    return cache_->Get(origin_->IdOf(key), origin_);
  }

  /// Starts a read; the future gets bytes or error.
  static std::future<Result<std::vector<std::byte>>> StartRead(
      const std::shared_ptr<index::CachedObject>& object, std::uint64_t offset, std::size_t size) {
    auto promise = std::make_shared<std::promise<Result<std::vector<std::byte>>>>();
    auto buffer = std::make_shared<std::vector<std::byte>>(size);
    object->Read(offset, *buffer, [promise, buffer](Result<std::size_t> n) {
      if (!n) return promise->set_value(std::unexpected(std::move(n.error())));
      buffer->resize(*n);
      promise->set_value(std::move(*buffer));
    });
    return promise->get_future();
  }

  template <class T>
  static Result<T> Await(std::future<Result<T>> future) {
    if (future.wait_for(kLimit) != std::future_status::ready) {
      return Fail(Errc::kTimeout, "test: no answer");
    }
    return future.get();
  }

  static Result<std::vector<std::byte>> Read(const std::shared_ptr<index::CachedObject>& object,
                                             std::uint64_t offset, std::size_t size) {
    return Await(StartRead(object, offset, size));
  }

  static Result<void> FetchAll(const std::shared_ptr<index::CachedObject>& object,
                               index::Priority priority = index::Priority::kPlan) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    object->FetchAll(priority, [promise](Result<void> r) { promise->set_value(std::move(r)); });
    return Await(promise->get_future());
  }

  Result<index::VerifyReport> Verify() {
    auto promise = std::make_shared<std::promise<Result<index::VerifyReport>>>();
    cache_->Verify({}, {},
                   [promise](Result<index::VerifyReport> r) { promise->set_value(std::move(r)); });
    return Await(promise->get_future());
  }

  /// Polls a condition that another thread makes true.
  template <class Condition>
  static bool Eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kLimit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  /// Where the cache keeps an object.
  std::filesystem::path PathOf(const fetch::ObjectId& id) const {
    const std::string digest = id.Digest();
    return dir_.path() / "cache" / "objects" / digest.substr(0, 2) / digest;
  }

  static std::vector<std::byte> Part(const std::vector<std::byte>& all, std::uint64_t offset,
                                     std::size_t size) {
    return {all.begin() + static_cast<std::ptrdiff_t>(offset),
            all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), offset + size))};
  }

  TempDir dir_;
  std::shared_ptr<FakeOrigin> origin_ = std::make_shared<FakeOrigin>();
  std::unique_ptr<index::Cache> cache_;
};

}  // namespace modelfs::test
