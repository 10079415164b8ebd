#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

class SealTest : public CacheFixture {
 protected:
  static constexpr std::size_t kSize = 5 * kChunk + 100;

  void SetUp() override {
    bytes_ = MakeBytes(1, kSize);
    id_ = origin_->Put("a", bytes_);
    OpenCache();
  }

  /// The object, whole and sealed.
  std::shared_ptr<index::CachedObject> Sealed() {
    auto object = Get("a");
    object->WantSealed();
    EXPECT_TRUE(FetchAll(object));
    EXPECT_TRUE(Eventually([&] { return object->IsTrusted(); }));
    return object;
  }

  std::filesystem::path data() const { return PathOf(id_) / "data"; }

  static ino_t InodeOf(const std::filesystem::path& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
  }

  void FlipAt(std::uint64_t at) {
    const Fd fd(::open(data().c_str(), O_RDWR | O_CLOEXEC));
    char byte = 0;
    ASSERT_EQ(::pread(fd.get(), &byte, 1, static_cast<off_t>(at)), 1);
    byte = static_cast<char>(byte ^ 1);
    ASSERT_EQ(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(at)), 1);
  }

  /// In the next life, without asking the origin.
  void ExpectTrustedAfterALook() {
    OpenCache();
    const auto requests = origin_->requests().size();
    auto object = Get("a");
    object->WantSealed();
    EXPECT_TRUE(Eventually([&] { return object->IsTrusted(); }));
    EXPECT_EQ(origin_->requests().size(), requests);
  }

  std::vector<std::byte> bytes_;
  fetch::ObjectId id_;
};

TEST_F(SealTest, WholeObjectIsAnOrdinaryFile) {
  auto object = Get("a");
  EXPECT_FALSE(object->OpenSealed());
  object = Sealed();
  auto file = object->OpenSealed();
  ASSERT_TRUE(file) << file.error().what;
  std::vector<std::byte> read(kSize + 1);
  EXPECT_EQ(::pread(file->get(), read.data(), read.size(), 0), static_cast<ssize_t>(kSize));
  read.resize(kSize);
  EXPECT_EQ(read, bytes_);
  EXPECT_EQ(::write(file->get(), "x", 1), -1) << "it can be written to";
  EXPECT_EQ(object->Status().verified, index::Verified::kSelf);
}

TEST_F(SealTest, NobodyAskedNobodySealed) {
  auto object = Get("a");
  ASSERT_TRUE(FetchAll(object));
  EXPECT_FALSE(object->IsTrusted());
  EXPECT_FALSE(std::filesystem::exists(PathOf(id_) / "sealed"));
}

TEST_F(SealTest, IsTrustedInTheNextLife) {
  Sealed();
  OpenCache();
  auto object = Get("a");
  std::promise<void> loaded;
  object->WhenLoaded([&] { loaded.set_value(); });
  loaded.get_future().wait();
  EXPECT_TRUE(object->IsTrusted());
  EXPECT_TRUE(object->OpenSealed());
}

TEST_F(SealTest, ChunksOfItAreNotEvicted) {
  auto object = Sealed();
  cache_->SetLimits({.size_bytes = kChunk});
  auto other = origin_->Put("b", MakeBytes(2, kChunk));
  ASSERT_TRUE(Read(cache_->Get(other, origin_), 0, 100));
  EXPECT_TRUE(object->Status().whole);
  EXPECT_TRUE(object->IsTrusted());
}

TEST_F(SealTest, WhoWantsToKnowIsToldThatItGoes) {
  std::atomic<int> told = 0;
  auto object = Sealed();
  cache_->WhenGone(id_, [&] { ++told; });
  object.reset();
  std::promise<void> done;
  cache_->Evict({id_}, [&](const Result<index::EvictReport>& report) {
    EXPECT_TRUE(report && report->objects == 1);
    done.set_value();
  });
  done.get_future().wait();
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(std::filesystem::exists(PathOf(id_) / "sealed"));
  EXPECT_TRUE(Sealed()->IsTrusted()) << "it can be sealed again";
  EXPECT_EQ(told, 1) << "once";
}

TEST_F(SealTest, DamageIsMendedInAnotherFile) {
  std::atomic<int> told = 0;
  auto object = Sealed();
  cache_->WhenGone(id_, [&] { ++told; });
  auto kernel = object->OpenSealed();
  ASSERT_TRUE(kernel);
  struct stat before{};
  ASSERT_EQ(::fstat(kernel->get(), &before), 0);
  FlipAt(2 * kChunk + 7);
  std::vector<std::byte> damaged(kSize);
  ASSERT_EQ(::pread(kernel->get(), damaged.data(), kSize, 0), static_cast<ssize_t>(kSize));

  const auto report = Verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->bad_chunks, 1u);
  const auto read = Read(object, 0, kSize);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(*read, bytes_);
  EXPECT_EQ(told, 1);
  EXPECT_NE(InodeOf(data()), before.st_ino) << "was written over while the kernel reads it";
  std::vector<std::byte> still(kSize);
  ASSERT_EQ(::pread(kernel->get(), still.data(), kSize, 0), static_cast<ssize_t>(kSize));
  EXPECT_EQ(still, damaged) << "the old file was changed under its reader";
  ASSERT_TRUE(FetchAll(object));
  EXPECT_TRUE(Eventually([&] { return object->IsTrusted(); })) << "it is sealed again";
}

TEST_F(SealTest, ChangedBehindOurBackIsVerifiedFirst) {
  Sealed();
  cache_.reset();
  FlipAt(3 * kChunk);
  OpenCache();
  auto object = Get("a");
  object->WantSealed();
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().quarantined_chunks == 1; }));
  const auto read = Read(object, 0, kSize);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(*read, bytes_);
  ASSERT_TRUE(FetchAll(object));
  EXPECT_TRUE(Eventually([&] { return object->IsTrusted(); }));
}

TEST_F(SealTest, TouchedFileIsTrustedAgainAfterALook) {
  Sealed();
  cache_.reset();
  ASSERT_EQ(::chmod(data().c_str(), 0640), 0);  // Another ctime.
  ExpectTrustedAfterALook();
}

TEST_F(SealTest, CopiedCacheIsVerifiedNotFetched) {
  Sealed();
  cache_.reset();
  std::filesystem::rename(data(), PathOf(id_) / "old");
  std::filesystem::copy_file(PathOf(id_) / "old", data());  // Another inode.
  ExpectTrustedAfterALook();
}

}  // namespace
}  // namespace modelfs::test
