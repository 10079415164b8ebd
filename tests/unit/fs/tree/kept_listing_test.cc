#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fs/tree/directory.h"
#include "fs/tree/listing_record.h"
#include "tests/unit/fs/fake_record_store.h"
#include "tests/unit/fs/held_origin.h"

namespace modelfs::fs {
namespace {

using index::RecordKind;
using std::chrono::hours;
using std::chrono::milliseconds;
using test::FileEntry;
using test::HeldOrigin;
using Clock = Directory::Clock;

/// Directories of one process after another over the same records.
class KeptListingTest : public ::testing::Test {
 protected:
  ~KeptListingTest() override {
    if (origin_) origin_->Forget();
  }
  std::shared_ptr<Directory> Make(milliseconds ttl, const std::string& path = "d/") {
    if (origin_) origin_->Forget();
    origin_ = std::make_shared<HeldOrigin>();
    store_ = std::make_shared<ListingStore>(&records_);
    return std::make_shared<Directory>(Directory::Options{
        .serial = 1, .path = path, .origin = origin_, .store = store_, .listing_ttl = ttl});
  }
  /// Listed by an earlier process, `age` ago.
  void ListBefore(const fetch::Listing& listing, milliseconds age) {
    auto directory = Make(hours(1));
    directory->Ensure(Clock::now(), [](Result<void>) {});
    ASSERT_TRUE(origin_->Answer(listing));
    for (const std::string& key : records_.Keys(RecordKind::kListing, "S")) {
      auto stamp = ListingStamp::Decode(*records_.Get(RecordKind::kListing, key));
      ASSERT_TRUE(stamp);
      stamp->listed_at -= age;
      ASSERT_TRUE(records_.Put(RecordKind::kListing, key, stamp->Encode()));
    }
  }
  static std::optional<bool> EnsureNow(const std::shared_ptr<Directory>& directory,
                                       Clock::time_point now = Clock::now()) {
    std::optional<bool> answer;
    directory->Ensure(now, [&](Result<void> ok) { answer = ok.has_value(); });
    return answer;
  }

  test::FakeRecordStore records_;
  std::shared_ptr<HeldOrigin> origin_;
  std::shared_ptr<ListingStore> store_;
};

TEST_F(KeptListingTest, AFreshOneIsUsedWithoutARequest) {
  ListBefore({{FileEntry("f", 3, "t")}}, std::chrono::seconds(10));
  auto directory = Make(std::chrono::seconds(60));
  EXPECT_EQ(EnsureNow(directory), true);
  EXPECT_TRUE(directory->Find("f"));
  EXPECT_TRUE(origin_->asked().empty());
  EXPECT_LE(directory->ValidFor(Clock::now()), std::chrono::seconds(50));
  EXPECT_GT(directory->ValidFor(Clock::now()), std::chrono::seconds(40));
}

TEST_F(KeptListingTest, AStaleOneIsAskedAgain) {
  ListBefore({{FileEntry("f", 3, "t")}}, std::chrono::seconds(61));
  auto directory = Make(std::chrono::seconds(60));
  std::optional<bool> answer;
  directory->Ensure(Clock::now(), [&](Result<void> ok) { answer = ok.has_value(); });
  EXPECT_FALSE(answer);
  EXPECT_EQ(origin_->asked().size(), 1u);
  ASSERT_TRUE(origin_->Answer(fetch::Listing{{FileEntry("g", 3, "t")}}));
  EXPECT_EQ(answer, true);
  EXPECT_FALSE(directory->Find("f"));
  EXPECT_TRUE(directory->Find("g"));
}

TEST_F(KeptListingTest, AStaleOneServesWhileTheOriginIsDown) {
  ListBefore({{FileEntry("f", 3, "t")}}, hours(48));
  auto directory = Make(std::chrono::seconds(60));
  std::optional<bool> answer;
  directory->Ensure(Clock::now(), [&](Result<void> ok) { answer = ok.has_value(); });
  ASSERT_TRUE(origin_->Answer(Fail(Errc::kTransient, "down")));
  EXPECT_EQ(answer, true);
  EXPECT_TRUE(directory->Find("f"));
}

TEST_F(KeptListingTest, AStaleOneServesWhileTheOriginHangs) {
  ListBefore({{FileEntry("f", 3, "t")}}, hours(48));
  auto directory = Make(std::chrono::seconds(60));
  std::optional<bool> answer;
  const auto now = Clock::now();
  EXPECT_TRUE(directory->Ensure(now, [&](Result<void> ok) { answer = ok.has_value(); }));
  EXPECT_FALSE(directory->ExpireWaiters(now + std::chrono::seconds(3)));
  EXPECT_EQ(answer, true);
}

TEST_F(KeptListingTest, ADamagedOneIsNone) {
  ListBefore({{FileEntry("f", 3, "t")}}, milliseconds(0));
  for (const std::string& key : records_.Keys(RecordKind::kListing, "L")) {
    std::string bytes = *records_.Get(RecordKind::kListing, key);
    bytes[bytes.size() / 2] ^= 1;
    ASSERT_TRUE(records_.Put(RecordKind::kListing, key, bytes));
  }
  auto directory = Make(hours(1));
  EXPECT_EQ(EnsureNow(directory), std::nullopt);
  EXPECT_EQ(origin_->asked().size(), 1u);
}

TEST_F(KeptListingTest, AStampFromTheFutureIsNotBelieved) {
  ListBefore({{FileEntry("f", 3, "t")}}, -hours(1));
  auto directory = Make(hours(1));
  EXPECT_EQ(EnsureNow(directory), std::nullopt);
  EXPECT_EQ(origin_->asked().size(), 1u);
}

TEST_F(KeptListingTest, AnotherDirectoryHasAnother) {
  ListBefore({{FileEntry("f", 3, "t")}}, milliseconds(0));
  auto directory = Make(hours(1), "e/");
  EXPECT_EQ(EnsureNow(directory), std::nullopt);
}

TEST_F(KeptListingTest, TheSameListingIsWrittenOnce) {
  auto directory = Make(milliseconds(0));
  const fetch::Listing listing{{FileEntry("f", 3, "t")}};
  directory->Ensure(Clock::now(), [](Result<void>) {});
  ASSERT_TRUE(origin_->Answer(listing));
  EXPECT_EQ(records_.puts(), 2u) << "the listing and its time";
  directory->Ensure(Clock::now(), [](Result<void>) {});
  ASSERT_TRUE(origin_->Answer(listing));
  EXPECT_EQ(records_.puts(), 3u) << "only the time";
}

TEST_F(KeptListingTest, NothingIsUsedAfterClose) {
  auto directory = Make(milliseconds(0));
  directory->Ensure(Clock::now(), [](Result<void>) {});
  store_->Close();
  ASSERT_TRUE(origin_->Answer(fetch::Listing{{FileEntry("f", 3, "t")}}));
  EXPECT_EQ(records_.puts(), 0u);
}

TEST_F(KeptListingTest, PruneForgetsWhatWasNotSeenForLong) {
  ListBefore({{FileEntry("f", 3, "t")}}, hours(10));
  EXPECT_EQ(ListingStore::Prune(records_, hours(11)), 0u);
  EXPECT_EQ(ListingStore::Prune(records_, hours(9)), 1u);
  EXPECT_TRUE(records_.Keys(RecordKind::kListing, "").empty());
}

}  // namespace
}  // namespace modelfs::fs
