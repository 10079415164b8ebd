#include "fs/tree/origin_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fs/tree/node_id.h"
#include "fs/tree/node_log.h"
#include "fs/tree/node_record.h"
#include "fs/tree/walker.h"
#include "tests/unit/fs/held_cache.h"
#include "tests/unit/fs/held_origin.h"
#include "tests/unit/fs/tree_calls.h"
#include "tests/unit/fs/tree_succession.h"

namespace modelfs::fs {
namespace {

using test::FileEntry;
using test::HeldOrigin;
using test::LookupNow;
using test::NamesNow;
using ::testing::ElementsAre;

class OriginTreeTest : public ::testing::Test {
 protected:
  std::shared_ptr<Tree> MakeTree(std::chrono::milliseconds ttl) {
    return Tree::Create({.sources = {{"src", origin_}},
                         .cache = std::make_shared<test::HeldCache>(),
                         .listing_ttl = ttl});
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

class TreeSuccessionTest : public OriginTreeTest, protected test::TreeSuccession {
 protected:
  TreeSuccessionTest() {
    sources_ = {{"src", origin_}};
    listing_ttl_ = std::chrono::hours(1);
  }
};

TEST_F(TreeSuccessionTest, NumbersGoOnMeaningTheSameBytes) {
  auto first = First();
  origin_->Set("", {{test::DirectoryEntry("d"), FileEntry("f", 3, "\"1\"")}});
  origin_->Set("d/", {{FileEntry("x\ny", 4, "\"2\"")}});
  const auto source = SourceId(*first);
  const auto directory = LookupNow(*first, source, "d")->id;
  const auto file = LookupNow(*first, directory, "x%0Ay")->id;
  const auto identity = *first->Identity(file);

  auto next = Next();
  ASSERT_TRUE(next) << next.error().what;
  EXPECT_EQ(*(*next)->Identity(file), identity);
  EXPECT_EQ((*next)->Get(file)->size_bytes, 4u);
  EXPECT_EQ(LookupNow(**next, source, "d")->id, directory);
  EXPECT_EQ(LookupNow(**next, directory, "x%0Ay")->id, file);
  EXPECT_EQ(SourceId(**next), source);
  // And so does the successor of the successor, with what the first of them added.
  origin_->Set("d/", {{FileEntry("new", 5, "\"3\""), FileEntry("x\ny", 4, "\"2\"")}});
  auto third = Next();
  ASSERT_TRUE(third);
  const auto added = LookupNow(**third, directory, "new");
  ASSERT_TRUE(added);
  auto fourth = Next();
  ASSERT_TRUE(fourth);
  EXPECT_EQ((*fourth)->Identity(added->id)->key, "d/new");
  EXPECT_EQ((*fourth)->Identity(file)->key, "d/x\ny");
}

TEST_F(TreeSuccessionTest, AReplacedObjectKeepsItsNumberAndItsSuccessorAnother) {
  auto first = First();
  origin_->Set("", {{FileEntry("f", 3, "\"old\"")}});
  const auto source = SourceId(*first);
  const auto old_file = LookupNow(*first, source, "f")->id;
  origin_->Set("", {{FileEntry("f", 3, "\"new\"")}});
  auto next = Next();
  ASSERT_TRUE(next);
  const auto new_file = LookupNow(**next, source, "f")->id;
  EXPECT_NE(new_file, old_file);
  EXPECT_EQ((*next)->Identity(old_file)->tag, "\"old\"");
  EXPECT_EQ((*next)->Identity(new_file)->tag, "\"new\"");
}

TEST_F(TreeSuccessionTest, NumbersOfASourceThatIsGoneStayTaken) {
  auto first = First();
  origin_->Set("", {{FileEntry("f", 3, "\"1\"")}});
  const auto file = LookupNow(*first, SourceId(*first), "f")->id;
  auto other = std::make_shared<HeldOrigin>();
  other->Set("", {{FileEntry("g", 3, "\"1\"")}});
  sources_ = {{"other", other}};
  auto next = Next();
  ASSERT_TRUE(next) << next.error().what;
  EXPECT_THAT(NamesNow(**next, Tree::kRootId), ElementsAre("other"));
  EXPECT_EQ(LookupNow(**next, Tree::kRootId, "src").error().code, Errc::kNotFound);
  const auto source = LookupNow(**next, Tree::kRootId, "other")->id;
  EXPECT_NE(LookupNow(**next, source, "g")->id, file);
  EXPECT_TRUE((*next)->Get(file)) << "its attributes are still known";
}

TEST_F(TreeSuccessionTest, AnEmptyDirectoryNeedsNoSecondListingWhileTheOriginIsDown) {
  auto first = First();
  const auto source = SourceId(*first);
  first->Read(source, 0, 10, [](const auto&) {});
  ASSERT_TRUE(origin_->Answer(fetch::Listing{}));
  auto next = Next();
  ASSERT_TRUE(next);
  std::optional<Result<std::vector<DirectoryEntry>>> entries;
  (*next)->Read(source, 0, 10, [&](auto read) { entries = std::move(read); });
  ASSERT_TRUE(origin_->Answer(Fail(Errc::kTransient, "down")));
  ASSERT_TRUE(entries && *entries) << "an old listing serves on";
  EXPECT_TRUE((*entries)->empty());
}

TEST_F(TreeSuccessionTest, RefusesALogThatMakesNoSense) {
  for (const std::string& bytes :
       {std::string("?"), std::string("E"), EncodeNodeRecord(DirectoryRecord{7, 8, 9}),
        EncodeNodeRecord(EntriesRecord{.serial = 1, .first = 0, .entries = {}})}) {
    nodes_ = *NodeLog::Create();
    nodes_->Append(bytes);
    const auto next = Next();
    ASSERT_FALSE(next) << testing::PrintToString(bytes);
    EXPECT_EQ(next.error().code, Errc::kCorrupt);
  }
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

TEST_F(OriginTreeTest, ARemovedSourceIsNotFoundButGoesOnForWhoIsInIt) {
  auto tree = MakeTree(std::chrono::hours(1));
  origin_->Set("", {{FileEntry("f", 3, "t")}});
  const auto source = SourceId(*tree);
  const auto file = LookupNow(*tree, source, "f")->id;
  const auto other = std::make_shared<HeldOrigin>("s3:other");
  other->Set("", {{FileEntry("g", 3, "t")}});
  tree->Reconfigure({{"other", other}}, std::chrono::hours(1));
  EXPECT_EQ(LookupNow(*tree, Tree::kRootId, "src").error().code, Errc::kNotFound);
  EXPECT_THAT(NamesNow(*tree, Tree::kRootId), ElementsAre("other"));
  EXPECT_TRUE(tree->Open(file));
  EXPECT_EQ(LookupNow(*tree, source, "f")->id, file);
  EXPECT_EQ(tree->Listed().files, 0u);
  EXPECT_FALSE(tree->ListedFiles("src"));
  const auto added = LookupNow(*tree, Tree::kRootId, "other")->id;
  EXPECT_NE(added, source);
  EXPECT_THAT(NamesNow(*tree, added), ElementsAre("g"));
  EXPECT_THAT(NamesNow(*tree, Tree::kRootId, 1), ElementsAre("other")) << "a readdir that goes on";
}

TEST_F(OriginTreeTest, ASourceThatStaysKeepsItsNumbersAndListing) {
  auto tree = MakeTree(std::chrono::hours(1));
  origin_->Set("", {{FileEntry("f", 3, "t")}});
  const auto source = SourceId(*tree);
  const auto file = LookupNow(*tree, source, "f")->id;
  tree->Reconfigure({{"new", std::make_shared<HeldOrigin>()}, {"src", origin_}},
                    std::chrono::hours(1));
  EXPECT_EQ(SourceId(*tree), source);
  EXPECT_EQ(LookupNow(*tree, source, "f")->id, file);
  EXPECT_EQ(origin_->asked().size(), 1u);
  EXPECT_THAT(NamesNow(*tree, Tree::kRootId), ElementsAre("src", "new"));
}

TEST_F(OriginTreeTest, AShorterTtlHoldsForListingsThatAreThere) {
  auto tree = MakeTree(std::chrono::hours(1));
  origin_->Set("", {{FileEntry("f", 3, "t")}});
  const auto source = SourceId(*tree);
  EXPECT_TRUE(LookupNow(*tree, source, "f"));
  tree->Reconfigure(tree->Sources(), std::chrono::milliseconds(0));
  EXPECT_TRUE(LookupNow(*tree, source, "f"));
  EXPECT_EQ(origin_->asked().size(), 2u);
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
