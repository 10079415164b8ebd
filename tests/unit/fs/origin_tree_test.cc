#include "fs/tree/origin_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fs/tree/node_id.h"
#include "fs/tree/walker.h"
#include "tests/unit/fs/held_cache.h"
#include "tests/unit/fs/held_origin.h"

namespace modelfs::fs {
namespace {

using test::FileEntry;
using test::HeldOrigin;
using ::testing::ElementsAre;

class OriginTreeTest : public ::testing::Test {
 protected:
  std::shared_ptr<Tree> MakeTree(std::chrono::milliseconds ttl) {
    return Tree::Create({.sources = {{"src", origin_}},
                         .cache = std::make_shared<test::HeldCache>(),
                         .listing_ttl = ttl});
  }
  /// The answer of a lookup that is at hand.
  static Result<Node> LookupNow(Tree& tree, std::uint64_t parent, std::string_view name) {
    std::optional<Result<Node>> answer;
    tree.Lookup(parent, name, [&](Result<Node> node) { answer = std::move(node); });
    return answer ? std::move(*answer) : Fail(Errc::kTimeout, "not at hand");
  }
  static std::vector<std::string> NamesNow(Tree& tree, std::uint64_t directory,
                                           std::uint64_t from = 0, std::size_t limit = 1000) {
    std::vector<std::string> names;
    tree.Read(directory, from, limit, [&](Result<std::vector<DirectoryEntry>> entries) {
      if (!entries) return names.push_back("error: " + entries.error().what);
      for (auto& entry : *entries) names.push_back(entry.name);
    });
    return names;
  }
  std::uint64_t SourceId(Tree& tree) { return LookupNow(tree, Tree::kRootId, "src")->id; }

  std::shared_ptr<HeldOrigin> origin_ = std::make_shared<HeldOrigin>();
};

TEST_F(OriginTreeTest, RootHoldsTheSources) {
  auto tree = MakeTree(std::chrono::hours(1));
  EXPECT_THAT(NamesNow(*tree, Tree::kRootId), ElementsAre("src"));
  EXPECT_EQ(LookupNow(*tree, Tree::kRootId, "other").error().code, Errc::kNotFound);
  EXPECT_TRUE(origin_->asked().empty()) << "the root costs no request";
}

TEST_F(OriginTreeTest, ListsOnceForAllWhoWait) {
  auto tree = MakeTree(std::chrono::hours(1));
  const auto source = SourceId(*tree);
  int answers = 0;
  for (int i = 0; i < 5; ++i) {
    tree->Lookup(source, "f", [&](Result<Node> node) { answers += node.has_value() ? 1 : 0; });
  }
  EXPECT_EQ(answers, 0);
  ASSERT_TRUE(origin_->Answer(fetch::Listing{{FileEntry("f", 3, "\"1\"")}}));
  EXPECT_EQ(answers, 5);
  EXPECT_THAT(origin_->asked(), ElementsAre(""));
  EXPECT_EQ(LookupNow(*tree, source, "g").error().code, Errc::kNotFound);
  EXPECT_THAT(origin_->asked(), ElementsAre("")) << "a negative answer needs no request either";
}

TEST_F(OriginTreeTest, DescendsWithTheRawKey) {
  auto tree = MakeTree(std::chrono::hours(1));
  origin_->Set("", {{test::DirectoryEntry("..")}});
  origin_->Set("../", {{FileEntry("x\ny", 1, "t")}});
  const auto source = SourceId(*tree);
  EXPECT_EQ(LookupNow(*tree, source, "..").error().code, Errc::kNotFound);
  auto directory = LookupNow(*tree, source, "%2E%2E");
  ASSERT_TRUE(directory);
  auto file = LookupNow(*tree, directory->id, "x%0Ay");
  ASSERT_TRUE(file);
  EXPECT_EQ(tree->Identity(file->id)->key, "../x\ny");
}

TEST_F(OriginTreeTest, ShowsTheDirectoryWhereAKeyIsBoth) {
  auto tree = MakeTree(std::chrono::hours(1));
  origin_->Set("", {{FileEntry("both", 1, "t"), test::DirectoryEntry("both")}});
  const auto source = SourceId(*tree);
  EXPECT_THAT(NamesNow(*tree, source), ElementsAre("both"));
  EXPECT_EQ(LookupNow(*tree, source, "both")->kind, Node::Kind::kDirectory);
}

TEST_F(OriginTreeTest, HidesNamesThatNoFileCanHave) {
  auto tree = MakeTree(std::chrono::hours(1));
  origin_->Set("", {{FileEntry(std::string(300, 'n'), 1, "t"), FileEntry("ok", 1, "t")}});
  EXPECT_THAT(NamesNow(*tree, SourceId(*tree)), ElementsAre("ok"));
}

TEST_F(OriginTreeTest, ARenewedListingKeepsTheNumbersOfWhatIsTheSame) {
  auto tree = MakeTree(std::chrono::milliseconds(0));
  origin_->Set("", {{FileEntry("changed", 1, "a"), FileEntry("gone", 1, "a"),
                     FileEntry("same", 1, "a"), test::DirectoryEntry("sub")}});
  const auto source = SourceId(*tree);
  const auto changed = LookupNow(*tree, source, "changed")->id;
  const auto gone = LookupNow(*tree, source, "gone")->id;
  const auto same = LookupNow(*tree, source, "same")->id;
  const auto sub = LookupNow(*tree, source, "sub")->id;
  origin_->Set("", {{FileEntry("changed", 1, "b"), FileEntry("new", 1, "a"),
                     FileEntry("same", 1, "a"), test::DirectoryEntry("sub")}});
  EXPECT_EQ(LookupNow(*tree, source, "same")->id, same);
  EXPECT_EQ(LookupNow(*tree, source, "sub")->id, sub);
  EXPECT_EQ(LookupNow(*tree, source, "gone").error().code, Errc::kNotFound);
  const auto renewed = LookupNow(*tree, source, "changed")->id;
  EXPECT_NE(renewed, changed);
  EXPECT_EQ(tree->Identity(changed)->tag, "a") << "whoever has the old file keeps its identity";
  EXPECT_EQ(tree->Identity(renewed)->tag, "b");
  EXPECT_TRUE(tree->Get(gone));
  EXPECT_THAT(NamesNow(*tree, source),
              ::testing::UnorderedElementsAre("changed", "new", "same", "sub"));
}

TEST_F(OriginTreeTest, ReadsADirectoryInPieces) {
  auto tree = MakeTree(std::chrono::hours(1));
  fetch::Listing listing;
  for (int i = 0; i < 100; ++i) listing.entries.push_back(FileEntry(std::to_string(i), 1, "t"));
  origin_->Set("", listing);
  const auto source = SourceId(*tree);
  std::vector<std::string> names;
  for (std::uint64_t from = 0;;) {
    bool end = false;
    tree->Read(source, from, 7, [&](Result<std::vector<DirectoryEntry>> entries) {
      end = entries->empty();
      for (auto& entry : *entries) {
        names.push_back(entry.name);
        from = entry.next;
      }
    });
    if (end) break;
  }
  EXPECT_EQ(names.size(), 100u);
  EXPECT_EQ(std::set(names.begin(), names.end()).size(), 100u);
}

TEST_F(OriginTreeTest, AFailedFirstListingIsTheError) {
  auto tree = MakeTree(std::chrono::hours(1));
  const auto source = SourceId(*tree);
  std::optional<Result<Node>> answer;
  tree->Lookup(source, "f", [&](Result<Node> node) { answer = std::move(node); });
  ASSERT_TRUE(origin_->Answer(Fail(Errc::kDenied, "no")));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error().code, Errc::kDenied);
  EXPECT_EQ(LookupNow(*tree, source, "f").error().code, Errc::kDenied) << "remembered for a second";
}

TEST_F(OriginTreeTest, ServesTheOldListingWhenTheOriginFails) {
  auto tree = MakeTree(std::chrono::milliseconds(0));
  const auto source = SourceId(*tree);
  std::vector<bool> found;
  auto look = [&] {
    tree->Lookup(source, "f", [&](Result<Node> node) { found.push_back(node.has_value()); });
  };
  look();
  ASSERT_TRUE(origin_->Answer(fetch::Listing{{FileEntry("f", 3, "t")}}));
  look();
  ASSERT_TRUE(origin_->Answer(Fail(Errc::kTransient, "down")));
  look();
  EXPECT_THAT(found, ElementsAre(true, true, true));
  EXPECT_EQ(origin_->asked().size(), 2u) << "an origin that is down is not asked at each lookup";
}

TEST(DirectoryTest, ServesTheOldListingWhenTheOriginHangs) {
  auto origin = std::make_shared<HeldOrigin>();
  auto directory = std::make_shared<Directory>(Directory::Options{
      .serial = 1, .path = "", .origin = origin, .listing_ttl = std::chrono::milliseconds(0)});
  const auto now = Directory::Clock::now();
  int answers = 0;
  EXPECT_TRUE(directory->Ensure(now, [&](Result<void>) { ++answers; }));
  EXPECT_TRUE(directory->ExpireWaiters(now + std::chrono::hours(1)))
      << "a first listing has nothing to fall back on";
  EXPECT_EQ(answers, 0);
  ASSERT_TRUE(origin->Answer(fetch::Listing{}));
  EXPECT_EQ(answers, 1);
  const auto later = Directory::Clock::now() + std::chrono::seconds(1);
  EXPECT_TRUE(directory->Ensure(later, [&](Result<void> ok) { answers += ok ? 1 : 100; }));
  EXPECT_TRUE(directory->ExpireWaiters(later + std::chrono::seconds(1)));
  EXPECT_EQ(answers, 1);
  EXPECT_FALSE(directory->ExpireWaiters(later + std::chrono::seconds(3)));
  EXPECT_EQ(answers, 2);
  EXPECT_TRUE(origin->Answer(fetch::Listing{})) << "late, and still taken";
}

TEST_F(OriginTreeTest, GivesNoNodeForANumberNeverGivenOut) {
  auto tree = MakeTree(std::chrono::hours(1));
  origin_->Set("", {{FileEntry("f", 3, "t")}});
  const auto source = SourceId(*tree);
  const auto file = LookupNow(*tree, source, "f")->id;
  for (const NodeId id : {NodeId{.manifest = 0, .index = 2}, NodeId{.manifest = 1, .index = 1},
                          NodeId{.manifest = 9, .index = 0}, NodeId{.manifest = 0, .index = 0}}) {
    EXPECT_FALSE(tree->Get(id.Pack())) << id.manifest << "," << id.index;
    EXPECT_FALSE(tree->Open(id.Pack()));
  }
  EXPECT_FALSE(tree->Open(source));
  EXPECT_FALSE(tree->Open(Tree::kRootId));
  EXPECT_TRUE(tree->Open(file));
  EXPECT_THAT(NamesNow(*tree, file), ElementsAre("error: f: not a directory"));
}

TEST_F(OriginTreeTest, WalksWhatIsHeldBackAndWhatIsAtHand) {
  auto tree = MakeTree(std::chrono::hours(1));
  origin_->Set("a/", {{FileEntry("1", 10, "t"), test::DirectoryEntry("deep")}});
  origin_->Set("a/deep/", {{FileEntry("2", 20, "t")}});
  std::optional<Result<std::vector<WalkedFile>>> walked;
  Walk(tree, "src", [&](auto files) { walked = std::move(files); });
  EXPECT_FALSE(walked);
  ASSERT_TRUE(
      origin_->Answer(fetch::Listing{{test::DirectoryEntry("a"), FileEntry("top", 5, "t")}}));
  ASSERT_TRUE(walked && walked->has_value());
  std::vector<std::string> paths;
  for (const auto& file : **walked) paths.push_back(file.path);
  EXPECT_THAT(paths, ::testing::UnorderedElementsAre("src/top", "src/a/1", "src/a/deep/2"));

  Walk(tree, "src/a/deep/2", [&](auto files) { walked = std::move(files); });
  ASSERT_TRUE(*walked);
  EXPECT_EQ((*walked)->at(0).size_bytes, 20u);
  Walk(tree, "src/a/none", [&](auto files) { walked = std::move(files); });
  EXPECT_EQ(walked->error().code, Errc::kNotFound);
  Walk(tree, "src/top/none", [&](auto files) { walked = std::move(files); });
  EXPECT_EQ(walked->error().code, Errc::kNotFound);
}

TEST_F(OriginTreeTest, WalksAHundredThousandDirectoriesOnAnOrdinaryStack) {
  auto tree = MakeTree(std::chrono::hours(1));
  fetch::Listing listing;
  for (int i = 0; i < 100'000; ++i) {
    listing.entries.push_back(test::DirectoryEntry(std::to_string(i)));
    origin_->Set(std::to_string(i) + "/", {});
  }
  origin_->Set("", std::move(listing));
  std::optional<Result<std::vector<WalkedFile>>> walked;
  Walk(tree, "", [&](auto files) { walked = std::move(files); });
  ASSERT_TRUE(walked && walked->has_value());
  EXPECT_TRUE((*walked)->empty());
}

}  // namespace
}  // namespace modelfs::fs
