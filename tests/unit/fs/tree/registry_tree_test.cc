#include "fs/tree/registry_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fs/tree/root_tree.h"
#include "fs/tree/walker.h"
#include "tests/unit/fetch/fake_timer.h"
#include "tests/unit/fs/fake_registry.h"
#include "tests/unit/fs/held_cache.h"
#include "tests/unit/fs/held_origin.h"
#include "tests/unit/fs/tree_calls.h"

namespace modelfs::fs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class RegistryTreeTest : public ::testing::Test {
 protected:
  ~RegistryTreeTest() override { registry_->held.clear(); }  // They hold who holds the registry.
  void SetUp() override {
    registry_->Add("iris", 1, {"MLmodel", "code/a.py"});
    registry_->Add("iris", 2, {"MLmodel"});
    registry_->aliases["iris"]["champion"] = 1;
    registry_->Add("team/a b", 1, {"x"});
  }

  void Make(std::vector<std::string> models = {}) {
    auto catalog = RegistryCatalog::Start({.registry = registry_,
                                           .records = records_,
                                           .timer = &timer_,
                                           .listing_ttl = seconds(60),
                                           .alias_poll = seconds(30),
                                           .models = std::move(models),
                                           .on_models = nullptr});
    Tree::Options options;
    options.cache = cache_;
    tree_ = std::make_shared<RegistryTree>(std::move(options), std::move(catalog));
  }

  Result<Node> Lookup(std::uint64_t parent, std::string_view name) {
    return test::LookupNow(*tree_, parent, name);
  }
  Result<Node> Find(std::initializer_list<std::string_view> path) {
    return test::FindNow(*tree_, path);
  }
  std::string LinkTarget(std::string_view name) {
    const auto node = Find({"iris", name});
    if (!node) return node.error().what;
    EXPECT_EQ(node->kind, Node::Kind::kSymlink);
    EXPECT_LE(node->valid_for, seconds(1));
    return tree_->ReadLink(node->id).value_or("unreadable");
  }
  std::vector<std::string> Names(std::uint64_t directory, std::size_t limit = 1000) {
    std::vector<std::string> names;
    for (std::uint64_t from = 0;;) {
      std::vector<DirectoryEntry> page;
      tree_->Read(directory, from, limit, [&](Result<std::vector<DirectoryEntry>> entries) {
        if (!entries) return names.push_back("error: " + entries.error().what);
        page = *std::move(entries);
      });
      for (auto& entry : page) names.push_back(entry.name);
      if (page.size() < limit) return names;
      from = page.back().next;
    }
  }

  std::shared_ptr<test::FakeRegistry> registry_ = std::make_shared<test::FakeRegistry>();
  std::shared_ptr<test::FakeRecordStore> records_ = std::make_shared<test::FakeRecordStore>();
  std::shared_ptr<test::HeldCache> cache_ = std::make_shared<test::HeldCache>();
  test::FakeTimer timer_;
  std::shared_ptr<Tree> tree_;
};

TEST_F(RegistryTreeTest, ShowsModelsVersionsAliasesAndFiles) {
  Make();
  EXPECT_THAT(Names(Tree::kRootId), UnorderedElementsAre("iris", "team%2Fa b"));
  EXPECT_THAT(Names(Find({"iris"})->id), UnorderedElementsAre("1", "2", "@champion", "latest"));
  EXPECT_THAT(Names(Find({"iris"})->id, 1), UnorderedElementsAre("1", "2", "@champion", "latest"));
  EXPECT_EQ(LinkTarget("@champion"), "1");
  EXPECT_EQ(LinkTarget("latest"), "2");
  EXPECT_THAT(Names(Find({"iris", "1"})->id), ElementsAre("MLmodel", "code"));
  const auto file = Find({"iris", "1", "code", "a.py"});
  ASSERT_TRUE(file) << file.error().what;
  EXPECT_EQ(file->kind, Node::Kind::kFile);
  EXPECT_EQ(file->size_bytes, 10u);
  EXPECT_EQ(tree_->Identity(file->id)->key, "code/a.py");
  EXPECT_TRUE(tree_->Open(file->id));
  EXPECT_TRUE(Find({"team%2Fa b", "1", "x"}));
  EXPECT_EQ(registry_->model_lists, 1);
}

TEST_F(RegistryTreeTest, ListingAModelFetchesNoManifest) {
  Make();
  Names(Find({"iris"})->id);
  EXPECT_EQ(registry_->manifests, 0);
  Names(Find({"iris", "1"})->id);
  Names(Find({"iris", "1"})->id);
  EXPECT_EQ(registry_->manifests, 1);
}

TEST_F(RegistryTreeTest, WhatIsNotThereIsNotFound) {
  Make();
  for (const auto& path : std::vector<std::vector<std::string>>{{"nope"},
                                                                {"iris", "3"},
                                                                {"iris", "01"},
                                                                {"iris", "-1"},
                                                                {"iris", "@nope"},
                                                                {"iris", "x"},
                                                                {"iris", "1", "nope"},
                                                                {"%69ris"}}) {
    Result<Node> node = tree_->Get(Tree::kRootId);
    for (const auto& name : path) {
      if (node) node = Lookup(node->id, name);
    }
    ASSERT_FALSE(node) << path.back();
    EXPECT_EQ(node.error().code, Errc::kNotFound) << path.back();
  }
}

TEST_F(RegistryTreeTest, ANewVersionIsFoundByNameWithinSeconds) {
  Make();
  EXPECT_FALSE(Find({"iris", "3"}));
  registry_->Add("iris", 3, {"y"});
  timer_.Advance(seconds(3));
  EXPECT_TRUE(Find({"iris", "3", "y"}));
}

TEST_F(RegistryTreeTest, APromotionIsANewNodeAndTheOldOneGoesOn) {
  Make();
  const auto before = Find({"iris", "@champion"});
  registry_->aliases["iris"]["champion"] = 2;
  EXPECT_EQ(LinkTarget("@champion"), "1") << "not polled yet";
  ASSERT_TRUE(timer_.RunNext());
  EXPECT_EQ(LinkTarget("@champion"), "2");
  EXPECT_EQ(tree_->ReadLink(before->id), "1") << "whoever has the old node keeps it";
}

TEST_F(RegistryTreeTest, PollsWithJitterAndMoreSlowlyWhileTheServerIsDown) {
  Make();
  ASSERT_EQ(timer_.delays().front(), seconds(30)) << "a jitter of 0.5 is none";
  registry_->down = true;
  for (int i = 0; i < 8; ++i) timer_.RunNext();
  EXPECT_GE(timer_.delays().back(), std::chrono::minutes(2));
  EXPECT_LE(timer_.delays().back(), std::chrono::minutes(5));
}

TEST_F(RegistryTreeTest, KnowsEverythingAgainInAnotherLifeWithTheServerDown) {
  Make();
  Names(Find({"iris"})->id);
  ASSERT_TRUE(Find({"iris", "1", "MLmodel"}));
  const auto id = tree_->Identity(Find({"iris", "1", "MLmodel"})->id).value();
  tree_.reset();
  registry_->down = true;
  Make();
  EXPECT_THAT(Names(Tree::kRootId), UnorderedElementsAre("iris", "team%2Fa b"));
  EXPECT_EQ(LinkTarget("@champion"), "1");
  const auto file = Find({"iris", "1", "MLmodel"});
  ASSERT_TRUE(file) << file.error().what;
  EXPECT_EQ(tree_->Identity(file->id).value(), id);
  const auto unknown = Find({"iris", "2", "MLmodel"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Errc::kTransient) << "not there is something else";
}

TEST_F(RegistryTreeTest, AVersionMadeAnewIsAnotherVersion) {
  Make();
  const auto before = Find({"iris", "1"})->id;
  registry_->versions["iris"].clear();
  registry_->Add("iris", 1, {"other"}, 2'000);
  timer_.Advance(seconds(120));
  const auto after = Find({"iris", "1"});
  ASSERT_TRUE(after);
  EXPECT_NE(after->id, before);
  EXPECT_THAT(Names(after->id), ElementsAre("other"));
}

TEST_F(RegistryTreeTest, ADeletedVersionDisappearsAndOpenNodesGoOn) {
  Make();
  const auto file = Find({"iris", "1", "MLmodel"});
  registry_->versions["iris"].erase(1);
  timer_.Advance(seconds(120));
  EXPECT_EQ(Find({"iris", "1"}).error().code, Errc::kNotFound);
  EXPECT_TRUE(tree_->Open(file->id));
}

TEST_F(RegistryTreeTest, AVersionThatIsNotReadyIsAskedAgain) {
  registry_->Add("iris", 3, {"a"}, 1'000, false);
  Make();
  EXPECT_THAT(Names(Find({"iris", "3"})->id), ElementsAre("a"));
  registry_->Add("iris", 3, {"a", "b"}, 1'000, true);
  timer_.Advance(seconds(120));
  EXPECT_THAT(Names(Find({"iris", "3"})->id), ElementsAre("a", "b"));
  EXPECT_EQ(Find({"iris", "3", "a"})->valid_for, std::chrono::hours(24));
}

TEST_F(RegistryTreeTest, AFilterHidesModels) {
  Make({"ir*", "zzz"});
  EXPECT_THAT(Names(Tree::kRootId), ElementsAre("iris"));
  EXPECT_FALSE(Find({"team%2Fa b"}));
}

TEST_F(RegistryTreeTest, HostileModelNamesAreEscapedOrHidden) {
  registry_->Add("..", 1, {"x"});
  registry_->Add("a\nb", 1, {"x"});
  registry_->Add(".modelfs", 1, {"x"});
  registry_->Add(std::string(256, 'n'), 1, {"x"});
  Make();
  EXPECT_THAT(Names(Tree::kRootId),
              UnorderedElementsAre("iris", "team%2Fa b", "%2E%2E", "a%0Ab", "%2Emodelfs"));
  EXPECT_TRUE(Find({"%2E%2E", "1", "x"}));
  EXPECT_TRUE(Find({"%2Emodelfs", "1", "x"}));
}

TEST_F(RegistryTreeTest, ASlowServerIsNotWaitedForLongerThanTheOldAnswerIsGood) {
  Make();
  ASSERT_TRUE(Find({"iris"}));
  registry_->holding = true;
  timer_.Advance(seconds(3));
  std::optional<Result<Node>> answer;
  tree_->Lookup(Tree::kRootId, "new", [&](Result<Node> node) { answer = std::move(node); });
  EXPECT_FALSE(answer) << "it may be new: the server is asked";
  while (!answer && timer_.RunNext()) {
  }
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error().code, Errc::kNotFound);
}

class RootTreeTest : public RegistryTreeTest {
 protected:
  void MakeRoot(std::vector<Tree::Source> sources) {
    Tree::Options options;
    options.sources = std::move(sources);
    options.cache = cache_;
    options.timer = &timer_;
    tree_ = Tree::Create(std::move(options));
  }
  std::shared_ptr<test::HeldOrigin> plain_ = std::make_shared<test::HeldOrigin>();
};

TEST_F(RootTreeTest, AnUnnamedRegistryFillsTheRootBesideSources) {
  plain_->Set("", {.entries = {test::FileEntry("f", 3, "t")}});
  MakeRoot({{"iris", plain_}, {"", nullptr, registry_, {}}, {"prod", nullptr, registry_, {}}});
  EXPECT_THAT(Names(Tree::kRootId), ElementsAre("iris", "prod", "team%2Fa b"))
      << "a source hides a model of its name";
  EXPECT_THAT(Names(Tree::kRootId, 1), ElementsAre("iris", "prod", "team%2Fa b"));
  EXPECT_EQ(Find({"iris", "f"})->size_bytes, 3u);
  EXPECT_TRUE(Find({"team%2Fa b", "1", "x"}));
  const auto file = Find({"prod", "iris", "@champion"});
  ASSERT_TRUE(file);
  EXPECT_EQ(tree_->ReadLink(file->id), "1");
  EXPECT_EQ(tree_->Get(file->id)->id, file->id);
  EXPECT_EQ(Find({"nope"}).error().code, Errc::kNotFound);
}

TEST_F(RootTreeTest, ARegistryThatIsDownDoesNotHideSources) {
  registry_->down = true;
  MakeRoot({{"src", plain_}, {"", nullptr, registry_, {}}});
  EXPECT_THAT(Names(Tree::kRootId), ElementsAre("src"));
  EXPECT_EQ(Find({"iris"}).error().code, Errc::kTransient);
}

TEST_F(RootTreeTest, RegistriesComeAndGoWithTheConfiguration) {
  MakeRoot({{"src", plain_}});
  EXPECT_THAT(Names(Tree::kRootId), ElementsAre("src"));
  tree_->Reconfigure({{"m", nullptr, registry_, {}}}, seconds(60));
  EXPECT_THAT(Names(Tree::kRootId), ElementsAre("m"));
  const auto file = Find({"m", "iris", "1", "MLmodel"});
  ASSERT_TRUE(file);
  tree_->Reconfigure({{"src", plain_}}, seconds(60));
  EXPECT_EQ(Find({"m"}).error().code, Errc::kNotFound);
  EXPECT_TRUE(tree_->Open(file->id)) << "who is in it goes on";
}

TEST_F(RootTreeTest, AnAliasWaitsForTheBytesOfItsNewVersion) {
  Tree::Options options;
  options.sources = {{"", nullptr, registry_, {}}};
  options.cache = cache_;
  options.timer = &timer_;
  options.warm_promotions = true;
  tree_ = Tree::Create(options);
  EXPECT_EQ(LinkTarget("@champion"), "1");
  // A version that cannot be had leaves the alias where it was, and says so.
  registry_->aliases["iris"]["champion"] = 7;
  ASSERT_TRUE(timer_.RunNext());
  EXPECT_EQ(LinkTarget("@champion"), "1");
  auto pending = tree_->PendingSwitches();
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_EQ(pending[0].from, 1u);
  EXPECT_EQ(pending[0].to, 7u);
  EXPECT_NE(pending[0].failure, "");
  // The next life serves the old one too.
  tree_ = Tree::Create(options);
  EXPECT_EQ(LinkTarget("@champion"), "1");
  // This cache has everything at once.
  registry_->aliases["iris"]["champion"] = 2;
  timer_.Advance(seconds(200));
  while (LinkTarget("@champion") != "2") ASSERT_TRUE(timer_.RunNext());
  EXPECT_TRUE(tree_->PendingSwitches().empty());
}

TEST_F(RootTreeTest, AWalkFollowsLinks) {
  MakeRoot({{"", nullptr, registry_, {}}});
  std::vector<std::string> paths;
  Walk(tree_, "iris/@champion", [&](Result<std::vector<WalkedFile>> files) {
    ASSERT_TRUE(files) << files.error().what;
    for (const auto& file : *files) paths.push_back(file.path);
  });
  EXPECT_THAT(paths, UnorderedElementsAre("iris/1/MLmodel", "iris/1/code/a.py"));
}

}  // namespace
}  // namespace modelfs::fs
