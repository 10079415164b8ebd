#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>

#include "tests/support/fake_origin.h"
#include "tests/support/script_fault_points.h"
#include "tests/unit/index/shared/replicas_fixture.h"

namespace modelfs::test {
namespace {

using std::filesystem::path;

/// Several replicas, one directory, one download.
class ReplicasTest : public ReplicasFixture {
 protected:
  static constexpr std::uint64_t kSegments = 6;
  static constexpr std::uint64_t kSize = kSegments * kSegment - 777;

  /// One replica publishes all of "m", and is gone.
  void PublishByOneWhoEnds() {
    const auto first = OpenReplica("first");
    ASSERT_TRUE(FetchAll(GetFrom(*first, "m")));
    ASSERT_TRUE(AwaitSegments(kSegments));
  }

  static void Damage(const path& file, std::streamoff at) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char old = static_cast<char>(stream.get());
    stream.seekp(at);
    stream.put(static_cast<char>(~old));
    ASSERT_TRUE(stream.good());
  }
};

TEST_F(ReplicasTest, TheSecondOneAsksTheOriginForNothing) {
  const auto bytes = MakeBytes(1, kSize);
  origin_->Put("m", bytes);
  auto first = OpenReplica("first");
  const auto here = GetFrom(*first, "m");
  ASSERT_TRUE(FetchAll(here));
  ASSERT_TRUE(AwaitSegments(kSegments));
  EXPECT_EQ(Read(here, 0, kSize).value(), bytes);
  const auto requests = origin_->requests().size();
  EXPECT_EQ(origin_->bytes_asked(), kSize);

  auto second = OpenReplica("second");
  const auto there = GetFrom(*second, "m");
  EXPECT_EQ(Read(there, 0, kSize).value(), bytes);
  ASSERT_TRUE(FetchAll(there));
  EXPECT_EQ(origin_->requests().size(), requests);
  const auto stats = second->Stats();
  EXPECT_EQ(stats.shared.origin_bytes, 0u);
  EXPECT_EQ(stats.shared.read_bytes, kSize);
  EXPECT_EQ(stats.fetched_bytes, 0u);
  EXPECT_EQ(first->Stats().shared.published_bytes, kSize);
}

TEST_F(ReplicasTest, TwoAtOnceFetchEachByteOnce) {
  const auto bytes = MakeBytes(2, kSize);
  origin_->Put("m", bytes);
  auto first = OpenReplica("first");
  auto second = OpenReplica("second");
  const auto here = GetFrom(*first, "m");
  const auto there = GetFrom(*second, "m");
  auto promise_here = std::async(std::launch::async, [&] { return FetchAll(here); });
  auto promise_there = std::async(std::launch::async, [&] { return FetchAll(there); });
  ASSERT_TRUE(promise_here.get());
  ASSERT_TRUE(promise_there.get());
  EXPECT_EQ(Read(here, 0, kSize).value(), bytes);
  EXPECT_EQ(Read(there, 0, kSize).value(), bytes);
  EXPECT_EQ(origin_->bytes_asked(), kSize);
  EXPECT_EQ(first->Stats().shared.claims + second->Stats().shared.claims, kSegments);
}

TEST_F(ReplicasTest, LeavesNothingBehindButSegmentsAndTheirClaims) {
  origin_->Put("m", MakeBytes(3, kSize));
  ASSERT_NO_FATAL_FAILURE(PublishByOneWhoEnds());
  EXPECT_EQ(FilesIn(ObjectFolder() / "k").size(), kSegments);
  EXPECT_TRUE(FilesIn(shared_directory() / "t").empty());
  EXPECT_TRUE(std::filesystem::exists(ObjectFolder() / "meta"));
}

TEST_F(ReplicasTest, ReadersOfOneChunkDoNotUndertakeTheRest) {
  const auto bytes = MakeBytes(4, kSize);
  origin_->Put("m", bytes);
  auto first = OpenReplica("first");
  EXPECT_EQ(Read(GetFrom(*first, "m"), 10, 100).value(), Part(bytes, 10, 100));
  EXPECT_EQ(first->Stats().shared.claims, 0u);
  EXPECT_LE(origin_->bytes_asked(), 4 * kChunk);
}

TEST_F(ReplicasTest, WrongBytesAreQuarantinedAndFetched) {
  const auto bytes = MakeBytes(5, kSize);
  origin_->Put("m", bytes);
  ASSERT_NO_FATAL_FAILURE(PublishByOneWhoEnds());
  Damage(ObjectFolder() / "s" / "2", 300'000);
  const auto end =
      static_cast<std::streamoff>(std::filesystem::file_size(ObjectFolder() / "s" / "4"));
  Damage(ObjectFolder() / "s" / "4", end - 90);  // A sum.

  auto second = OpenReplica("second");
  const auto there = GetFrom(*second, "m");
  EXPECT_EQ(Read(there, 0, kSize).value(), bytes);
  EXPECT_EQ(second->Stats().shared.quarantined, 2u);
  EXPECT_EQ(FilesIn(shared_directory() / "q").size(), 2u);
  EXPECT_LE(origin_->bytes_asked(), kSize + 2 * kSegment);
  EXPECT_GE(origin_->bytes_asked(), kSize + kSegment);
}

TEST_F(ReplicasTest, ADirectoryThatIsWipedIsAMiss) {
  const auto bytes = MakeBytes(6, kSize);
  origin_->Put("m", bytes);
  auto first = OpenReplica("first");
  ASSERT_TRUE(FetchAll(GetFrom(*first, "m")));
  ASSERT_TRUE(AwaitSegments(kSegments));
  auto second = OpenReplica("second");
  const auto there = GetFrom(*second, "m");
  EXPECT_EQ(Read(there, 0, 100).value(), Part(bytes, 0, 100));
  for (const auto& entry : FilesIn(shared_directory())) std::filesystem::remove_all(entry);
  EXPECT_EQ(Read(there, 0, kSize).value(), bytes);
}

TEST_F(ReplicasTest, AClaimerThatStoppedCostsAWaitAndNoError) {
  const auto bytes = MakeBytes(7, kSize);
  origin_->Put("m", bytes);
  ScriptFaultPoints faults;
  faults.Block("shared.publish");
  auto first = OpenReplica("first", &faults);
  ASSERT_TRUE(FetchAll(GetFrom(*first, "m")));
  ASSERT_TRUE(faults.AwaitHits("shared.publish", 1));
  auto second = OpenReplica("second");
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(Read(GetFrom(*second, "m"), kSegment, 1000).value(), Part(bytes, kSegment, 1000));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(3500));
  EXPECT_GE(second->Stats().shared.hedges, 1u);
  faults.Unblock("shared.publish");
}

/// Nobody counts as silent for longer than he was watched: it takes some seconds.
TEST_F(ReplicasTest, TheClaimOfTheDeadIsTakenOver) {
  const auto bytes = MakeBytes(11, kSize);
  origin_->Put("m", bytes);
  ASSERT_NO_FATAL_FAILURE(PublishByOneWhoEnds());
  std::filesystem::remove(ObjectFolder() / "s" / "2");
  std::ofstream(ObjectFolder() / "k" / "2.0") << "dead";  // Who has never been heard of.

  auto second = OpenReplica("second");
  const auto there = GetFrom(*second, "m");
  ASSERT_TRUE(FetchAll(there));
  EXPECT_EQ(Read(there, 0, kSize).value(), bytes);
  EXPECT_EQ(second->Stats().shared.takeovers, 1u);
  EXPECT_EQ(origin_->bytes_asked(), kSize + kSegment);
  EXPECT_TRUE(AwaitSegments(kSegments));
  EXPECT_TRUE(std::filesystem::exists(ObjectFolder() / "k" / "2.1"));
}

TEST_F(ReplicasTest, ADirectoryThatHangsIsLeftAlone) {
  const auto bytes = MakeBytes(8, kSize);
  origin_->Put("m", bytes);
  ScriptFaultPoints faults;
  faults.Block("shared.survey");
  auto first = OpenReplica("first", &faults);
  const auto object = GetFrom(*first, "m");
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(Read(object, 0, kSize).value(), bytes);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(3500));
  EXPECT_EQ(first->Stats().shared.brownouts, 1u);
  EXPECT_FALSE(first->Stats().shared.usable);
  ASSERT_TRUE(FetchAll(object));
  faults.Unblock("shared.survey");
}

TEST_F(ReplicasTest, ADirectoryOfAnotherFormatIsNotTouched) {
  std::filesystem::create_directories(shared_directory());
  std::ofstream(shared_directory() / "FORMAT") << "modelfs-shared 99\nsegment_size 4096\n";
  const auto bytes = MakeBytes(9, kSize);
  origin_->Put("m", bytes);
  auto first = OpenReplica("first");
  EXPECT_EQ(Read(GetFrom(*first, "m"), 0, kSize).value(), bytes);
  EXPECT_EQ(first->Stats().shared.mode, "off");
  EXPECT_FALSE(std::filesystem::exists(shared_directory() / "d"));
}

TEST_F(ReplicasTest, WhatIsHereIsPublishedWithoutFetchingItAgain) {
  const auto bytes = MakeBytes(10, kSize);
  origin_->Put("m", bytes);
  auto options = ReplicaOptions("first");
  options.shared.reset();
  OpenCache(options);
  // Three of four chunks of the second segment, before there was a shared directory.
  EXPECT_EQ(Read(Get("m"), kSegment, 3 * kChunk).value(), Part(bytes, kSegment, 3 * kChunk));
  cache_.reset();
  const std::uint64_t before = origin_->bytes_asked();
  auto first = OpenReplica("first");
  ASSERT_TRUE(FetchAll(GetFrom(*first, "m")));
  ASSERT_TRUE(AwaitSegments(kSegments));
  EXPECT_EQ(origin_->bytes_asked(), kSize) << before;
}

}  // namespace
}  // namespace modelfs::test
