#include "fs/tree/report_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "tests/unit/fs/fake_registry.h"
#include "tests/unit/fs/fake_reports.h"
#include "tests/unit/fs/held_origin.h"
#include "tests/unit/fs/tree_calls.h"
#include "tests/unit/fs/tree_succession.h"

namespace modelfs::fs {
namespace {

using test::FindNow;
using test::NamesNow;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class ReportTreeTest : public ::testing::Test, protected test::TreeSuccession {
 protected:
  void SetUp() override {
    reports_ = fake_;
    registry_->Add("iris", 1, {"MLmodel", "code/a.py"});
    registry_->Add("iris", 2, {"MLmodel"});
    registry_->aliases["iris"]["champion"] = 1;
    sources_ = {{.name = "", .registry = registry_}};
  }

  static std::string Report(Tree& tree, std::uint64_t id) {
    std::optional<Result<std::string>> answer;
    tree.Report(id, [&](Result<std::string> text) { answer = std::move(text); });
    if (!answer) return "not at hand";
    return *answer ? **answer : "error: " + answer->error().what;
  }
  static std::string ReportAt(Tree& tree, std::initializer_list<std::string_view> path) {
    const auto node = FindNow(tree, path);
    if (!node) return "error: " + node.error().what;
    EXPECT_EQ(node->kind, Node::Kind::kReport);
    EXPECT_TRUE(tree.IsReport(node->id));
    return Report(tree, node->id);
  }
  static std::vector<std::string> NamesAt(Tree& tree, std::initializer_list<std::string_view> path,
                                          std::size_t limit = 1000) {
    const auto node = FindNow(tree, path);
    if (!node) return {"error: " + node.error().what};
    std::vector<std::string> names;
    for (std::uint64_t from = 0;;) {
      std::vector<DirectoryEntry> page;
      tree.Read(node->id, from, limit, [&](Result<std::vector<DirectoryEntry>> entries) {
        if (entries) page = *std::move(entries);
      });
      for (const DirectoryEntry& entry : page) names.push_back(entry.name);
      if (page.size() < limit) return names;
      from = page.back().next;
    }
  }

  std::shared_ptr<test::FakeRegistry> registry_ = std::make_shared<test::FakeRegistry>();
  std::shared_ptr<test::FakeReports> fake_ = std::make_shared<test::FakeReports>();
};

TEST_F(ReportTreeTest, IsFoundByNameAndNotListedAmongModels) {
  const auto tree = First();
  EXPECT_THAT(NamesNow(*tree, Tree::kRootId), ElementsAre("iris"));
  EXPECT_EQ(FindNow(*tree, {".modelfs"})->kind, Node::Kind::kDirectory);
  for (const std::size_t limit : {1, 2, 3, 1000}) {
    EXPECT_THAT(NamesAt(*tree, {".modelfs"}, limit), ElementsAre("status.json", "version", "iris"));
    EXPECT_THAT(NamesAt(*tree, {".modelfs", "iris"}, limit),
                UnorderedElementsAre("1", "2", "@champion", "latest"));
    EXPECT_THAT(NamesAt(*tree, {".modelfs", "iris", "1"}, limit), ElementsAre("progress.json"));
  }
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "version"}), "1.2.3\n");
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "status.json"}), "status 1\n");
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "status.json"}), "status 2\n");
  const auto link = FindNow(*tree, {".modelfs", "iris", "@champion"});
  ASSERT_TRUE(link);
  EXPECT_EQ(tree->ReadLink(link->id), "1");
}

TEST_F(ReportTreeTest, ProgressIsThatOfAVersionAndAsksNobody) {
  const auto tree = First();
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "iris", "1", "progress.json"}), "iris 1: unknown files");
  EXPECT_EQ(registry_->manifests, 0);
  ASSERT_TRUE(FindNow(*tree, {"iris", "1", "MLmodel"}));
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "iris", "1", "progress.json"}), "iris 1: 2 files");
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "iris", "2", "progress.json"}), "iris 2: unknown files");
  EXPECT_EQ(registry_->manifests, 1);
}

TEST_F(ReportTreeTest, WhatIsNotThereIsNotFound) {
  const auto tree = First();
  for (const std::initializer_list<std::string_view> path :
       {std::initializer_list<std::string_view>{".modelfs", "nope"},
        {".modelfs", "iris", "3"},
        {".modelfs", "iris", "1", "MLmodel"},
        {".modelfs", "iris", "@nope"},
        {".modelfs", "status.json", "x"}}) {
    EXPECT_EQ(FindNow(*tree, path).error().code, Errc::kNotFound);
  }
  // Numbers that nobody was given.
  const std::uint64_t ours = FindNow(*tree, {".modelfs"})->id;
  const std::uint64_t status = FindNow(*tree, {".modelfs", "status.json"})->id;
  EXPECT_FALSE(tree->Get(status | 256ULL << 37)) << "a kind that is none";
  for (std::uint64_t low = 2; low < 64; ++low) {
    for (std::uint64_t kind = 0; kind < 8; ++kind) {
      const std::uint64_t id = (ours & ~std::uint64_t{1}) | kind << 37 | 9ULL << 33 | low;
      EXPECT_FALSE(tree->Get(id)) << id;
      Report(*tree, id);
      tree->Read(id, 0, 10, [](const auto&) {});
      tree->Lookup(id, "x", [](const auto&) {});
    }
  }
}

TEST_F(ReportTreeTest, HasNoBytesOfAnOrigin) {
  const auto tree = First();
  const auto id = FindNow(*tree, {".modelfs", "status.json"})->id;
  EXPECT_EQ(tree->Open(id).error().code, Errc::kInvalid);
  EXPECT_EQ(tree->Identity(id).error().code, Errc::kInvalid);
  const auto file = FindNow(*tree, {"iris", "1", "MLmodel"})->id;
  EXPECT_FALSE(tree->IsReport(file));
  EXPECT_THAT(Report(*tree, file), ::testing::StartsWith("error: "));
}

TEST_F(ReportTreeTest, ModelsWithNamesOfOursStayApart) {
  registry_->Add(".modelfs", 1, {"x"});
  registry_->Add("status.json", 1, {"x"});
  registry_->Add("%73tatus.json", 1, {"x", "y"});
  const auto tree = First();
  EXPECT_THAT(NamesAt(*tree, {".modelfs"}),
              UnorderedElementsAre("status.json", "version", "iris", "%2Emodelfs", "%73tatus.json",
                                   "%2573tatus.json"));
  ASSERT_TRUE(FindNow(*tree, {"%2573tatus.json", "1", "x"}));
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "%2Emodelfs", "1", "progress.json"}),
            ".modelfs 1: unknown files");
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "%73tatus.json", "1", "progress.json"}),
            "status.json 1: unknown files");
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "%2573tatus.json", "1", "progress.json"}),
            "%73tatus.json 1: 2 files");
}

TEST_F(ReportTreeTest, ARegistryWithANameHasAFolderOfItsOwn) {
  sources_ = {{.name = "prod", .registry = registry_},
              {.name = "plain", .origin = std::make_shared<test::HeldOrigin>()}};
  const auto tree = First();
  EXPECT_THAT(NamesAt(*tree, {".modelfs"}, 1), ElementsAre("status.json", "version", "prod"));
  EXPECT_THAT(NamesAt(*tree, {".modelfs", "prod"}), ElementsAre("iris"));
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "prod", "iris", "2", "progress.json"}),
            "iris 2: unknown files");
  tree->Reconfigure({}, listing_ttl_);
  EXPECT_THAT(NamesAt(*tree, {".modelfs"}), ElementsAre("status.json", "version"));
}

TEST_F(ReportTreeTest, StatusIsThereWhileTheRegistryIsDown) {
  registry_->down = true;
  const auto tree = First();
  EXPECT_THAT(NamesAt(*tree, {".modelfs"}), ElementsAre("status.json", "version"));
  EXPECT_EQ(ReportAt(*tree, {".modelfs", "status.json"}), "status 1\n");
}

TEST_F(ReportTreeTest, NumbersGoOnMeaningTheSameInASuccessor) {
  auto first = First();
  const auto status = FindNow(*first, {".modelfs", "status.json"})->id;
  const auto model = FindNow(*first, {".modelfs", "iris"})->id;
  const auto progress = FindNow(*first, {".modelfs", "iris", "1", "progress.json"})->id;
  ASSERT_TRUE(FindNow(*first, {"iris", "1", "MLmodel"}));
  first.reset();
  registry_->down = true;
  const auto next = Next();
  ASSERT_TRUE(next) << next.error().what;
  EXPECT_EQ(Report(**next, status), "status 1\n");
  EXPECT_EQ(Report(**next, progress), "iris 1: 2 files");
  EXPECT_EQ((*next)->Get(model)->kind, Node::Kind::kDirectory);
}

TEST(TreeWithoutReportsTest, HasNoSuchDirectory) {
  const auto tree = Tree::Create({});
  EXPECT_EQ(FindNow(*tree, {".modelfs"}).error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace modelfs::fs
