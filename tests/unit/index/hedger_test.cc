#include "index/hedger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "tests/unit/index/manual_timer.h"

namespace modelfs::index {
namespace {

using std::chrono::milliseconds;
using test::ManualTimer;

constexpr std::uint64_t kPiece = 1u << 20;

/// A request that somebody waits for.
class Late final : public Hedgeable {
 public:
  std::uint64_t Hedge(std::uint64_t most_bytes) override {
    if (!waited_for || size > most_bytes) return 0;
    ++hedges;
    return size;
  }
  void DropHedge() override { ++drops; }

  bool waited_for = true;
  std::uint64_t size = kPiece;
  int hedges = 0;
  int drops = 0;
};

class HedgerTest : public ::testing::Test {
 protected:
  struct Flying {
    std::shared_ptr<Late> who = std::make_shared<Late>();
    std::shared_ptr<Hedger::Watched> watched;
  };

  Flying Send(const std::string& source = "s3") {
    Flying flying;
    flying.watched = hedger_->Sent(source, flying.who);
    return flying;
  }
  /// One that takes `first` to its first byte and is over then.
  void Usual(milliseconds first = milliseconds(40), const std::string& source = "s3") {
    const Flying one = Send(source);
    timer_.Advance(first);
    hedger_->Heard(one.watched.get(), kPiece);
    hedger_->Over(one.watched);
  }
  void Learn(int requests = 20, milliseconds first = milliseconds(40)) {
    for (int i = 0; i < requests; ++i) Usual(first);
  }

  ManualTimer timer_;
  std::shared_ptr<Hedger> hedger_ = std::make_shared<Hedger>(&timer_);
};

TEST_F(HedgerTest, OneThatIsLateWhileOthersAreQuickIsSentOnceMore) {
  Learn();
  const Flying late = Send();
  Usual();
  Usual();
  timer_.Advance(milliseconds(100));
  EXPECT_EQ(late.who->hedges, 0) << "not late yet";
  timer_.Advance(milliseconds(200));
  EXPECT_EQ(late.who->hedges, 1);
  timer_.Advance(milliseconds(5000));
  EXPECT_EQ(late.who->hedges, 1) << "once";
  EXPECT_EQ(hedger_->sent(), 1u);
}

TEST_F(HedgerTest, WhatIsUsualDecidesWhatIsLate) {
  Learn(20, milliseconds(400));
  const Flying late = Send();
  Usual(milliseconds(400));
  Usual(milliseconds(300));
  timer_.Advance(milliseconds(400));
  EXPECT_EQ(late.who->hedges, 0) << "1.1 s of 1.2";
  timer_.Advance(milliseconds(200));
  EXPECT_EQ(late.who->hedges, 1);
}

TEST_F(HedgerTest, ABodyThatStallsIsLateToo) {
  Learn();
  const Flying late = Send();
  timer_.Advance(milliseconds(40));
  hedger_->Heard(late.watched.get(), 1000);
  Usual();
  Usual();
  timer_.Advance(milliseconds(300));
  EXPECT_EQ(late.who->hedges, 1);
}

TEST_F(HedgerTest, NothingIsLateBeforeItIsKnownWhatIsUsual) {
  Learn(10);
  const Flying late = Send();
  timer_.Advance(std::chrono::seconds(60));
  EXPECT_EQ(late.who->hedges, 0);
}

TEST_F(HedgerTest, WhatNobodyWaitsForIsNotSentTwice) {
  Learn();
  const Flying late = Send();
  late.who->waited_for = false;
  Usual();
  Usual();
  timer_.Advance(milliseconds(1000));
  EXPECT_EQ(late.who->hedges, 0);
  late.who->waited_for = true;
  timer_.Advance(milliseconds(100));
  EXPECT_EQ(late.who->hedges, 1) << "as soon as somebody does";
}

TEST_F(HedgerTest, InAnOutageNothingIsSentTwice) {
  Learn();
  std::vector<Flying> all;
  for (int i = 0; i < 8; ++i) all.push_back(Send());
  timer_.Advance(std::chrono::seconds(60));
  for (const Flying& one : all) EXPECT_EQ(one.who->hedges, 0);
}

TEST_F(HedgerTest, WhenEverythingIsSlowNothingIsSentTwice) {
  Learn();
  std::vector<Flying> all;
  for (int i = 0; i < 32; ++i) {
    all.push_back(Send());
    timer_.Advance(milliseconds(100));
    if (i < 16) continue;  // Each answer takes 1.6 s now.
    const Flying& old = all[static_cast<std::size_t>(i) - 16];
    hedger_->Heard(old.watched.get(), kPiece);
    hedger_->Over(old.watched);
  }
  EXPECT_EQ(hedger_->sent(), 0u);
}

TEST_F(HedgerTest, OneAloneIsSentTwiceOnceInTenSeconds) {
  Learn();
  for (int i = 0; i < 3; ++i) {
    const Flying late = Send();
    timer_.Advance(milliseconds(2000));
    EXPECT_EQ(late.who->hedges, i == 0 ? 1 : 0);
    hedger_->Over(late.watched);
  }
  timer_.Advance(std::chrono::seconds(6));
  const Flying late = Send();
  timer_.Advance(milliseconds(2000));
  EXPECT_EQ(late.who->hedges, 1);
}

TEST_F(HedgerTest, OneAloneMayAgainWhereItHelped) {
  Learn();
  for (int i = 0; i < 3; ++i) {
    const Flying late = Send();
    timer_.Advance(milliseconds(400));
    EXPECT_EQ(late.who->hedges, 1);
    hedger_->Won(late.watched.get());
    hedger_->Heard(late.watched.get(), kPiece);
    hedger_->Over(late.watched);
  }
  EXPECT_EQ(hedger_->won(), 3u);
}

TEST_F(HedgerTest, OneThatIsNoQuickerIsGivenUp) {
  Learn();
  const Flying late = Send();
  timer_.Advance(milliseconds(400));
  EXPECT_EQ(late.who->hedges, 1);
  EXPECT_EQ(late.who->drops, 0);
  timer_.Advance(milliseconds(600));
  EXPECT_GT(late.who->drops, 0);
}

TEST_F(HedgerTest, TheBudgetIsAShareOfWhatCame) {
  Learn();
  hedger_->Wasted(Hedger::kAllowance);
  const Flying late = Send();
  Usual();
  Usual();
  timer_.Advance(milliseconds(1000));
  EXPECT_EQ(late.who->hedges, 0) << "22 MiB give 0.22 MiB";
  const Flying much = Send();
  hedger_->Heard(much.watched.get(), 200 * kPiece);
  hedger_->Over(much.watched);
  timer_.Advance(milliseconds(100));
  EXPECT_EQ(late.who->hedges, 1);
}

TEST_F(HedgerTest, AnotherOriginSaysNothing) {
  Learn();
  const Flying late = Send("other");
  Usual();
  Usual();
  timer_.Advance(milliseconds(2000));
  EXPECT_EQ(late.who->hedges, 0);
}

TEST_F(HedgerTest, OffMeansOff) {
  Learn();
  hedger_->SetEnabled(false);
  const Flying late = Send();
  Usual();
  Usual();
  timer_.Advance(milliseconds(1000));
  EXPECT_EQ(late.who->hedges, 0);
}

TEST_F(HedgerTest, TicksOnlyWhileSomethingIsUnderWay) {
  Usual();
  timer_.Advance(milliseconds(500));
  const Flying one = Send();
  hedger_->Close();
  timer_.Advance(std::chrono::seconds(5));
  EXPECT_EQ(hedger_->Sent("s3", one.who), nullptr);
}

}  // namespace
}  // namespace modelfs::index
