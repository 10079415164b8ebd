#include "fs/session/backings.h"

#include <gtest/gtest.h>

#include "fs/tree/node_id.h"

namespace modelfs::fs {
namespace {

constexpr std::uint64_t kFile = NodeId{.manifest = 3, .index = 5}.Pack();

TEST(BackingsTest, WithoutAnyAFileHasItsColdNumber) {
  Backings backings(-1, nullptr);
  EXPECT_EQ(backings.Current(kFile), kFile);
  EXPECT_EQ(backings.Show(1, kFile), kFile);
  EXPECT_FALSE(backings.Find(NodeId::Hot(kFile, 1)));
}

TEST(BackingsTest, AThreadIsToldOnceToLookAgain) {
  Backings backings(-1, nullptr);
  EXPECT_FALSE(backings.TakeRetry(1, kFile));
  backings.NoteRetry(1, kFile);
  EXPECT_FALSE(backings.TakeRetry(2, kFile)) << "another thread";
  EXPECT_FALSE(backings.TakeRetry(1, NodeId{.manifest = 3, .index = 6}.Pack())) << "another file";
  EXPECT_TRUE(backings.TakeRetry(1, kFile));
  EXPECT_FALSE(backings.TakeRetry(1, kFile));
}

TEST(BackingsTest, ThreadsOfAnotherNamespaceAreOneNumber) {
  Backings backings(-1, nullptr);
  backings.NoteRetry(0, kFile);
  backings.NoteRetry(0, kFile);
  EXPECT_TRUE(backings.TakeRetry(0, kFile));
  EXPECT_TRUE(backings.TakeRetry(0, kFile));
  EXPECT_FALSE(backings.TakeRetry(0, kFile));
}

TEST(BackingsTest, TheFirstReasonStays) {
  Backings backings(-1, nullptr);
  backings.Disable("one");
  backings.Disable("two");
  EXPECT_FALSE(backings.state().on);
  EXPECT_EQ(backings.state().why, "one");
}

}  // namespace
}  // namespace modelfs::fs
