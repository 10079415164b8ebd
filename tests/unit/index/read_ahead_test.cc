#include "index/read_ahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace modelfs::index {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kPiece = 128 << 10;

ReadAhead Make(std::uint64_t object_bytes = 2048 * kMiB) {
  return ReadAhead({.chunk_bytes = kMiB, .object_bytes = object_bytes});
}

/// Furthest byte that windows asked for while [begin, end) was read in order.
std::uint64_t Scan(ReadAhead& ahead, std::uint64_t begin, std::uint64_t end) {
  std::uint64_t wanted = 0;
  for (std::uint64_t at = begin; at < end; at += kPiece) {
    if (const auto w = ahead.Note(ByteRange::At(at, kPiece)).window) {
      wanted = std::max(wanted, w->range.end);
    }
  }
  return wanted;
}

TEST(ReadAheadTest, OneReadIsNoSequence) {
  auto ahead = Make();
  EXPECT_FALSE(ahead.Note(ByteRange::At(0, kMiB)).window);
}

TEST(ReadAheadTest, WindowGrowsWithTheRun) {
  auto ahead = Make();
  EXPECT_EQ(Scan(ahead, 0, 3 * kPiece), 3 * kPiece + kMiB);
  EXPECT_GE(Scan(ahead, 3 * kPiece, 4 * kMiB), 15 * kMiB);
  EXPECT_LE(Scan(ahead, 4 * kMiB, 5 * kMiB), 25 * kMiB);
  EXPECT_GE(Scan(ahead, 5 * kMiB, 64 * kMiB), 64 * kMiB + 48 * kMiB);
}

TEST(ReadAheadTest, LongRunWantsTheRest) {
  auto ahead = Make(512 * kMiB);
  EXPECT_EQ(Scan(ahead, 0, 140 * kMiB), 512 * kMiB);
}

TEST(ReadAheadTest, ToleratesPiecesThatOvertakeEachOther) {
  auto ahead = Make();
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::vector<std::uint64_t> order;
  for (std::uint64_t i = 0; i < 512; ++i) order.push_back(i);
  for (std::size_t i = 0; i < order.size(); i += 4) {
    std::shuffle(order.begin() + static_cast<std::ptrdiff_t>(i),
                 order.begin() + static_cast<std::ptrdiff_t>(i + 4), random);
  }
  std::uint64_t wanted = 0;
  for (const std::uint64_t i : order) {
    if (const auto w = ahead.Note(ByteRange::At(i * kPiece, kPiece)).window) wanted = w->range.end;
  }
  EXPECT_GE(wanted, 64 * kMiB + 48 * kMiB);
}

TEST(ReadAheadTest, FollowsTwentyReadersAtOnce) {
  auto ahead = Make();
  std::vector<std::uint64_t> wanted(20);
  for (std::uint64_t i = 0; i < 40; ++i) {
    for (std::uint64_t r = 0; r < wanted.size(); ++r) {
      if (const auto w = ahead.Note(ByteRange::At(r * 100 * kMiB + i * kPiece, kPiece)).window) {
        wanted[r] = w->range.end;
      }
    }
  }
  for (std::uint64_t r = 0; r < wanted.size(); ++r) {
    EXPECT_GE(wanted[r], r * 100 * kMiB + 10 * kMiB) << r;
  }
}

TEST(ReadAheadTest, RandomReadsHardlyEverTriggerIt) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  auto ahead = Make();
  std::uint64_t asked = 0;
  constexpr int kReads = 5000;
  for (int i = 0; i < kReads; ++i) {
    const std::uint64_t at = random() % (2047 * kMiB);
    if (const auto w = ahead.Note(ByteRange::At(at, 4096)).window) asked += w->range.size();
  }
  EXPECT_LT(asked, kReads * kMiB / 100);
}

TEST(ReadAheadTest, StrideWithinChunksIsASequence) {
  auto ahead = Make();
  std::uint64_t wanted = 0;
  for (std::uint64_t at = 0; at < 64 * kMiB; at += 512 << 10) {
    if (const auto w = ahead.Note(ByteRange::At(at, 64 << 10)).window) wanted = w->range.end;
  }
  EXPECT_GE(wanted, 64 * kMiB + 48 * kMiB);
}

TEST(ReadAheadTest, LongRunAndAJumpAreALoaderThatWantsAll) {
  auto ahead = Make();
  int whole = 0;
  for (const std::uint64_t tensor : {400, 100, 1200, 7}) {
    for (std::uint64_t at = 0; at < 4 * kMiB; at += kPiece) {
      const auto advice = ahead.Note(ByteRange::At(tensor * kMiB + at, kPiece));
      whole += advice.whole ? 1 : 0;
      if (at > 0 || tensor == 400) continue;
      EXPECT_EQ(whole, 1) << "after the first tensor";
      ASSERT_TRUE(advice.window) << "of " << tensor;
      EXPECT_EQ(advice.window->range.end, (tensor + 4) * kMiB) << "as long as the last one";
    }
  }
  EXPECT_EQ(whole, 1) << "once";
}

TEST(ReadAheadTest, RandomReadsAfterALongRunAreNotTakenForTensorsForLong) {
  auto ahead = Make();
  Scan(ahead, 0, 64 * kMiB);
  std::mt19937_64 random(5);
  std::uint64_t asked = 0;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t at = 128 * kMiB + random() % (1800 * kMiB);
    if (const auto w = ahead.Note(ByteRange::At(at, 256 << 10)).window) asked += w->range.size();
  }
  EXPECT_LE(asked, 64 * kMiB);
}

TEST(ReadAheadTest, NeverWantsBeyondTheEnd) {
  auto ahead = Make(10 * kMiB + 5);
  EXPECT_EQ(Scan(ahead, 0, 10 * kMiB), 10 * kMiB + 5);
}

}  // namespace
}  // namespace modelfs::index
