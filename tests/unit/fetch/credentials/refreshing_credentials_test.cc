#include "fetch/credentials/refreshing_credentials.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace modelfs::test {
namespace {

using fetch::Credentials;
using fetch::RefreshingCredentials;
using fetch::TemporaryKeys;
using std::chrono::minutes;
using testing::ElementsAre;
using testing::HasSubstr;

// Fetches when the test says so.
class HeldSource final : public fetch::CredentialSource {
 public:
  std::string Describe() const override { return "the held source"; }
  void Fetch(std::stop_token stop, Done<TemporaryKeys> done) override {
    ++fetches;
    stop_ = std::move(stop);
    done_ = std::move(done);
  }
  bool fetching() const { return static_cast<bool>(done_); }
  bool stopped() const { return stop_.stop_requested(); }
  void Answer(Result<TemporaryKeys> result) { std::exchange(done_, nullptr)(std::move(result)); }
  /// Whoever waits holds us.
  void Forget() { done_ = nullptr; }
  int fetches = 0;

 private:
  std::stop_token stop_;
  Done<TemporaryKeys> done_;
};

class RefreshingCredentialsTest : public testing::Test {
 protected:
  RefreshingCredentialsTest() { Make(false); }
  ~RefreshingCredentialsTest() override { source_->Forget(); }
  void Make(bool keep_expired) {
    if (source_) source_->Forget();
    source_ = std::make_shared<HeldSource>();
    keys_ = std::make_shared<RefreshingCredentials>(
        RefreshingCredentials::Options{.source = source_,
                                       .principal = "arn:role",
                                       .keep_expired = keep_expired,
                                       .wall_clock = [this] { return now_; }});
  }
  void Ask(const std::optional<Credentials>& rejected = std::nullopt) {
    keys_->Get(rejected, [this](Result<std::optional<Credentials>> keys) {
      if (!keys) {
        error_ = keys.error();
        answers_.push_back(fmt::format("error: {}", error_.what));
      } else if (*keys) {
        answers_.push_back((*keys)->access_key_id);
      }
    });
  }
  std::vector<std::string> Answers() { return std::exchange(answers_, {}); }
  TemporaryKeys Keys(std::string id, std::chrono::seconds life) const {
    return {.keys = Key(std::move(id)), .expires = now_ + life};
  }
  static Credentials Key(std::string id) {
    return {.access_key_id = std::move(id), .secret_access_key = "s", .session_token = "t"};
  }
  static std::unexpected<Error> Down() { return Fail(Errc::kTransient, "connection refused"); }

  std::chrono::system_clock::time_point now_{std::chrono::seconds(1'800'000'000)};
  std::shared_ptr<HeldSource> source_;
  std::shared_ptr<RefreshingCredentials> keys_;
  std::vector<std::string> answers_;
  Error error_{Errc::kIo, ""};
};

TEST_F(RefreshingCredentialsTest, AllWhoWaitShareOneFetch) {
  Ask();
  Ask();
  Ask();
  EXPECT_THAT(Answers(), ElementsAre());
  EXPECT_EQ(source_->fetches, 1);
  source_->Answer(Keys("A", minutes(60)));
  EXPECT_THAT(Answers(), ElementsAre("A", "A", "A"));
  Ask();
  EXPECT_THAT(Answers(), ElementsAre("A"));
  EXPECT_EQ(source_->fetches, 1);
}

TEST_F(RefreshingCredentialsTest, FetchesAheadWhileTheOldKeysGoOn) {
  Ask();
  source_->Answer(Keys("A", minutes(60)));
  now_ += minutes(44);
  Ask();
  EXPECT_EQ(source_->fetches, 1);
  now_ += minutes(2);
  Ask();
  Ask();
  EXPECT_THAT(Answers(), ElementsAre("A", "A", "A", "A"));
  EXPECT_EQ(source_->fetches, 2);
  source_->Answer(Keys("B", minutes(60)));
  Ask();
  EXPECT_THAT(Answers(), ElementsAre("B"));
}

TEST_F(RefreshingCredentialsTest, WaitsShortlyBeforeTheEnd) {
  Ask();
  source_->Answer(Keys("A", minutes(60)));
  Answers();
  now_ += minutes(55);
  Ask();
  EXPECT_THAT(Answers(), ElementsAre());
  source_->Answer(Keys("B", minutes(60)));
  EXPECT_THAT(Answers(), ElementsAre("B"));
}

TEST_F(RefreshingCredentialsTest, ShortLivedKeysAreUsedToo) {
  Ask();
  source_->Answer(Keys("A", minutes(4)));
  Ask();
  EXPECT_THAT(Answers(), ElementsAre("A", "A"));
  EXPECT_EQ(source_->fetches, 1);
  now_ += std::chrono::seconds(190);
  Ask();
  EXPECT_THAT(Answers(), ElementsAre("A"));
  EXPECT_EQ(source_->fetches, 2);
}

TEST_F(RefreshingCredentialsTest, GoodKeysGoOnWhileTheProviderIsDown) {
  Ask();
  source_->Answer(Keys("A", minutes(60)));
  now_ += minutes(55);
  Ask();
  source_->Answer(Down());
  EXPECT_THAT(Answers(), ElementsAre("A", "A"));
  Ask();  // Not asked again at once.
  EXPECT_THAT(Answers(), ElementsAre("A"));
  EXPECT_EQ(source_->fetches, 2);
  now_ += std::chrono::seconds(31);
  Ask();
  EXPECT_EQ(source_->fetches, 3);
  source_->Answer(Keys("B", minutes(60)));
  EXPECT_THAT(Answers(), ElementsAre("B"));
}

TEST_F(RefreshingCredentialsTest, ExpiredKeysAreNotUsedAndTheErrorNamesTheProvider) {
  Ask();
  source_->Answer(Keys("A", minutes(60)));
  Answers();
  now_ += minutes(61);
  Ask();
  Ask();
  source_->Answer(Down());
  EXPECT_EQ(Answers().size(), 2u);
  EXPECT_EQ(error_.code, Errc::kTransient);
  EXPECT_THAT(error_.what, HasSubstr("the held source"));
  EXPECT_THAT(error_.what, HasSubstr("connection refused"));
  Ask();
  source_->Answer(Keys("B", minutes(60)));
  EXPECT_THAT(Answers(), ElementsAre("B"));
}

TEST_F(RefreshingCredentialsTest, RejectedKeysAreFetchedAnewOnceForAll) {
  Ask();
  source_->Answer(Keys("A", minutes(60)));
  Answers();
  Ask(Key("A"));
  Ask(Key("A"));
  Ask();
  EXPECT_THAT(Answers(), ElementsAre());
  EXPECT_EQ(source_->fetches, 2);
  source_->Answer(Keys("B", minutes(60)));
  EXPECT_THAT(Answers(), ElementsAre("B", "B", "B"));
  Ask(Key("A"));  // An answer that took long: they have been replaced.
  EXPECT_THAT(Answers(), ElementsAre("B"));
  EXPECT_EQ(source_->fetches, 2);
}

TEST_F(RefreshingCredentialsTest, RejectedKeysAreNoFallBack) {
  Ask();
  source_->Answer(Keys("A", minutes(60)));
  Answers();
  Ask(Key("A"));
  source_->Answer(Fail(Errc::kDenied, "no such role"));
  EXPECT_EQ(error_.code, Errc::kDenied);
  EXPECT_THAT(error_.what, HasSubstr("no such role"));
}

TEST_F(RefreshingCredentialsTest, KeysWithoutAnEndStayUntilRejected) {
  Ask();
  source_->Answer(TemporaryKeys{.keys = Key("A"), .expires = std::nullopt});
  now_ += std::chrono::hours(10'000);
  Ask();
  EXPECT_THAT(Answers(), ElementsAre("A", "A"));
  EXPECT_EQ(source_->fetches, 1);
}

TEST_F(RefreshingCredentialsTest, KeysThatHaveExpiredAlreadyAreAnError) {
  Ask();
  source_->Answer(Keys("A", -minutes(1)));
  EXPECT_EQ(error_.code, Errc::kDenied);
  EXPECT_THAT(error_.what, HasSubstr("expired already"));
}

TEST_F(RefreshingCredentialsTest, OfAnInstanceOutliveAnOutage) {
  Make(true);
  Ask();
  source_->Answer(Keys("A", minutes(60)));
  now_ += minutes(61);
  Ask();
  source_->Answer(Down());
  EXPECT_THAT(Answers(), ElementsAre("A", "A"));
  now_ += minutes(20);
  Ask();
  source_->Answer(Keys("A", -minutes(1)));  // The service itself has no others.
  EXPECT_THAT(Answers(), ElementsAre("A"));
}

TEST_F(RefreshingCredentialsTest, StopEndsWhatIsUnderWayAndWhatComes) {
  Ask();
  EXPECT_FALSE(source_->stopped());
  keys_->Stop();
  EXPECT_TRUE(source_->stopped());
  source_->Answer(Fail(Errc::kCancelled, "cancelled"));
  EXPECT_EQ(error_.code, Errc::kCancelled);
  Ask();
  EXPECT_EQ(Answers().size(), 2u);
  EXPECT_EQ(source_->fetches, 1);
}

}  // namespace
}  // namespace modelfs::test
