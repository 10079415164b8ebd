#include "fs/tree/shards_ahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fake_origin.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

using test::FakeOrigin;
using test::MakeBytes;

constexpr std::uint64_t kChunk = 256 << 10;
constexpr std::uint64_t kShard = 8 * kChunk;

std::vector<std::byte> AsBytes(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

/// A folder with a model in shards, over a real cache.
class ShardsAheadTest : public ::testing::Test {
 protected:
  void SetUp() override { OpenCache({}); }
  void TearDown() override {
    shards_.reset();
    cache_.reset();
  }

  void OpenCache(index::CacheLimits limits) {
    shards_.reset();
    cache_.reset();
    index::Cache::Options options;
    options.directory = dir_.path() / std::to_string(++caches_);
    options.chunk_size_bytes = kChunk;
    options.limits = limits;
    cache_ = std::move(*index::Cache::Open(options));
    shards_ = std::make_shared<ShardsAhead>(cache_);
  }
  void Put(const std::string& name, std::vector<std::byte> bytes) {
    origin_->Put("m/" + name, std::move(bytes));
    names_.push_back(name);
  }
  static std::string Shard(int number) {
    return "model-0000" + std::to_string(number) + ".safetensors";
  }
  /// `shards`, and an index that names `named` besides.
  void PutModel(int shards, const std::vector<std::string>& named = {}) {
    std::string map;
    for (int i = 1; i <= shards; ++i) {
      Put(Shard(i), MakeBytes(static_cast<std::uint64_t>(i), kShard));
      map += "\"t" + std::to_string(i) + "\": \"" + Shard(i) + "\", ";
    }
    for (const auto& name : named) map += "\"x" + name + "\": \"" + name + "\", ";
    map += "\"last\": \"" + Shard(1) + "\"";
    Put("model.safetensors.index.json", AsBytes("{\"weight_map\": {" + map + "}}"));
  }
  std::shared_ptr<index::CachedObject> Open(const std::string& name) {
    auto object = cache_->Get(origin_->IdOf("m/" + name), origin_);
    shards_->Opened("m", name, object, [this] {
      std::vector<ShardsAhead::File> files;
      for (const auto& one : names_) files.push_back({one, origin_->IdOf("m/" + one), origin_});
      return files;
    });
    return object;
  }
  static void Read(const std::shared_ptr<index::CachedObject>& object, std::uint64_t offset,
                   std::uint64_t size) {
    std::vector<std::byte> buffer(size);
    std::promise<bool> read;
    object->Read(offset, buffer, [&](const Result<std::size_t>& n) { read.set_value(bool(n)); });
    ASSERT_TRUE(read.get_future().get());
  }
  bool Whole(const std::string& name) {
    const auto known = cache_->Find(origin_->IdOf("m/" + name));
    return known && known->whole;
  }
  std::uint64_t Cached(const std::string& name) {
    const auto known = cache_->Find(origin_->IdOf("m/" + name));
    return known ? known->cached_bytes : 0;
  }
  template <class Condition>
  static bool Eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  /// Asked for so far, in order, each name once.
  std::vector<std::string> Asked() {
    std::vector<std::string> asked;
    for (const auto& request : origin_->requests()) {
      const std::string name = request.key.substr(2);
      if (std::ranges::find(asked, name) == asked.end()) asked.push_back(name);
    }
    return asked;
  }

  test::TempDir dir_;
  std::shared_ptr<FakeOrigin> origin_ = std::make_shared<FakeOrigin>();
  std::shared_ptr<index::Cache> cache_;
  std::shared_ptr<ShardsAhead> shards_;
  std::vector<std::string> names_;
  int caches_ = 0;
};

TEST_F(ShardsAheadTest, TheOthersFollowInOrderOnceHalfOfOneWasRead) {
  PutModel(4);
  const auto object = Open(Shard(2));
  Read(object, 0, kShard / 2);
  ASSERT_TRUE(Eventually([&] { return Whole(Shard(1)) && Whole(Shard(3)) && Whole(Shard(4)); }));
  EXPECT_EQ(Asked(), (std::vector<std::string>{Shard(2), "model.safetensors.index.json", Shard(3),
                                               Shard(4), Shard(1)}));
}

TEST_F(ShardsAheadTest, LessThanHalfIsNoLoad) {
  PutModel(3);
  const auto object = Open(Shard(1));
  Read(object, 0, kShard / 2 - 1);
  ASSERT_TRUE(origin_->AwaitQuiet());
  EXPECT_EQ(Asked(), std::vector<std::string>{Shard(1)});
}

TEST_F(ShardsAheadTest, NamesFromElsewhereLeadNowhere) {
  origin_->Put("secret.safetensors", MakeBytes(9, kShard));
  origin_->Put("m/sub/inner.safetensors", MakeBytes(9, kShard));
  PutModel(2, {"../secret.safetensors"});
  const auto object = Open(Shard(1));
  Read(object, 0, kShard);
  ASSERT_TRUE(Eventually([&] { return Asked().size() == 2; }));
  ASSERT_TRUE(origin_->AwaitQuiet());
  EXPECT_EQ(Asked(), (std::vector<std::string>{Shard(1), "model.safetensors.index.json"}))
      << "an index with a path that leads out is not believed at all";
}

TEST_F(ShardsAheadTest, OnlyWhatLiesInTheFolderIsFetched) {
  origin_->Put("m/sub/inner.safetensors", MakeBytes(9, kShard));
  PutModel(2, {"sub/inner.safetensors", "absent.safetensors"});
  const auto object = Open(Shard(1));
  Read(object, 0, kShard);
  ASSERT_TRUE(Eventually([&] { return Whole(Shard(2)); }));
  ASSERT_TRUE(origin_->AwaitQuiet());
  EXPECT_EQ(Asked(),
            (std::vector<std::string>{Shard(1), "model.safetensors.index.json", Shard(2)}));
}

TEST_F(ShardsAheadTest, AShardThatNoIndexNamesIsAFileLikeAnyOther) {
  PutModel(2);
  Put("other.safetensors", MakeBytes(7, kShard));
  const auto object = Open("other.safetensors");
  Read(object, 0, kShard);
  ASSERT_TRUE(Eventually([&] { return Asked().size() == 2; }));
  ASSERT_TRUE(origin_->AwaitQuiet());
  EXPECT_EQ(Asked(),
            (std::vector<std::string>{"other.safetensors", "model.safetensors.index.json"}));
}

TEST_F(ShardsAheadTest, NothingIsPushedOutForAShardThatNobodyHasOpened) {
  constexpr std::uint64_t kSlack = 1 << 20;
  OpenCache({.size_bytes = 2 * kShard + kSlack});
  PutModel(4);
  Put("kept.bin", MakeBytes(8, kShard));
  {
    const auto kept = Open("kept.bin");
    Read(kept, 0, kShard);
    ASSERT_TRUE(Eventually([&] { return Whole("kept.bin"); }));
  }
  const auto object = Open(Shard(1));
  Read(object, 0, kShard);
  ASSERT_TRUE(Eventually([&] { return Asked().size() >= 3; }));
  ASSERT_TRUE(origin_->AwaitQuiet());
  EXPECT_TRUE(Whole("kept.bin"));
  EXPECT_EQ(Cached(Shard(2)), 0u);
}

}  // namespace
}  // namespace modelfs::fs
