#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fs/tree/root_tree.h"
#include "tests/unit/fs/fake_registry.h"
#include "tests/unit/fs/held_origin.h"
#include "tests/unit/fs/tree_calls.h"
#include "tests/unit/fs/tree_succession.h"

namespace modelfs::fs {
namespace {

using test::FindNow;
using test::NamesNow;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class RegistrySuccessionTest : public ::testing::Test, protected test::TreeSuccession {
 protected:
  void SetUp() override {
    registry_->Add("iris", 1, {"MLmodel", "code/a.py"});
    registry_->Add("iris", 2, {"MLmodel"});
    registry_->aliases["iris"]["champion"] = 1;
    sources_ = {{.name = "", .registry = registry_}};
  }

  static std::uint64_t IdOf(Tree& tree, std::initializer_list<std::string_view> path) {
    const auto node = FindNow(tree, path);
    EXPECT_TRUE(node) << node.error().what;
    return node ? node->id : 0;
  }
  std::shared_ptr<test::FakeRegistry> registry_ = std::make_shared<test::FakeRegistry>();
};

TEST_F(RegistrySuccessionTest, NumbersGoOnMeaningTheSameBytesWithTheServerDown) {
  auto first = First();
  const auto model = IdOf(*first, {"iris"});
  const auto version = IdOf(*first, {"iris", "1"});
  const auto link = IdOf(*first, {"iris", "@champion"});
  const auto folder = IdOf(*first, {"iris", "1", "code"});
  const auto file = IdOf(*first, {"iris", "1", "code", "a.py"});
  const auto identity = *first->Identity(file);
  first.reset();

  registry_->down = true;
  auto next = Next();
  ASSERT_TRUE(next) << next.error().what;
  Tree& tree = **next;
  EXPECT_EQ(*tree.Identity(file), identity);
  EXPECT_EQ(tree.Get(file)->size_bytes, 10u);
  EXPECT_TRUE(tree.Open(file));
  EXPECT_EQ(tree.Get(folder)->kind, Node::Kind::kDirectory);
  EXPECT_THAT(NamesNow(tree, folder), UnorderedElementsAre("a.py"));
  EXPECT_EQ(tree.Get(version)->kind, Node::Kind::kDirectory);
  EXPECT_EQ(tree.Get(model)->kind, Node::Kind::kDirectory);
  EXPECT_EQ(tree.ReadLink(link).value_or("unreadable"), "1");
}

TEST_F(RegistrySuccessionTest, NamesLeadToTheNumbersThatTheyHad) {
  auto first = First();
  const auto link = IdOf(*first, {"iris", "@champion"});
  const auto file = IdOf(*first, {"iris", "1", "code", "a.py"});
  first.reset();
  // Three lives, each of which adds something.
  for (std::uint64_t life = 3; life < 6; ++life) {
    registry_->Add("iris", life, {"MLmodel"});
    auto next = Next();
    ASSERT_TRUE(next) << next.error().what;
    EXPECT_EQ(IdOf(**next, {"iris", "1", "code", "a.py"}), file);
    EXPECT_EQ(IdOf(**next, {"iris", "@champion"}), link);
    const auto added = IdOf(**next, {"iris", std::to_string(life), "MLmodel"});
    EXPECT_NE(added, file);
    const auto after = Next();
    ASSERT_TRUE(after) << after.error().what;
    EXPECT_EQ((*after)->Identity(added)->key, "MLmodel");
  }
}

TEST_F(RegistrySuccessionTest, AModelIsListedWholeAlsoWhereNothingOfItWasKept) {
  auto first = First();
  const auto model = IdOf(*first, {"iris"});
  first.reset();
  const auto next = Next();
  ASSERT_TRUE(next) << next.error().what;
  EXPECT_THAT(NamesNow(**next, model), UnorderedElementsAre("1", "2", "@champion", "latest"));
  registry_->down = true;
  const auto last = Next();
  ASSERT_TRUE(last) << last.error().what;
  EXPECT_THAT(NamesNow(**last, model), ElementsAre(HasSubstr("the registry is down")));
}

TEST_F(RegistrySuccessionTest, APromotionInBetweenIsAnotherNumber) {
  auto first = First();
  const auto before = IdOf(*first, {"iris", "@champion"});
  first.reset();
  registry_->aliases["iris"]["champion"] = 2;
  auto next = Next();
  ASSERT_TRUE(next) << next.error().what;
  const auto after = IdOf(**next, {"iris", "@champion"});
  EXPECT_NE(after, before);
  EXPECT_EQ((*next)->ReadLink(before).value_or("unreadable"), "1");
  EXPECT_EQ((*next)->ReadLink(after).value_or("unreadable"), "2");
}

TEST_F(RegistrySuccessionTest, AVersionThatBecameReadyIsReadyInTheNextLife) {
  registry_->Add("iris", 3, {"MLmodel"}, 1'000, false);
  auto first = First();
  IdOf(*first, {"iris", "3", "MLmodel"});
  registry_->Add("iris", 3, {"MLmodel", "weights"});
  timer_.Advance(std::chrono::minutes(2));
  const auto weights = IdOf(*first, {"iris", "3", "weights"});
  const auto version = IdOf(*first, {"iris", "3"});
  first.reset();
  registry_->down = true;
  auto next = Next();
  ASSERT_TRUE(next) << next.error().what;
  EXPECT_EQ((*next)->Identity(weights)->key, "weights");
  EXPECT_GT((*next)->Get(weights)->valid_for, std::chrono::hours(1));
  EXPECT_EQ((*next)->Get(version)->kind, Node::Kind::kDirectory);
}

TEST_F(RegistrySuccessionTest, SourcesOfAllKindsStandSideBySide) {
  auto origin = std::make_shared<test::HeldOrigin>();
  origin->Set("", {{test::FileEntry("f", 3, "\"1\"")}});
  auto other = std::make_shared<test::FakeRegistry>();
  other->Add("wine", 1, {"MLmodel"});
  sources_ = {{.name = "plain", .origin = origin},
              {.name = "", .registry = registry_},
              {.name = "second", .registry = other}};
  auto first = First();
  const std::vector<std::uint64_t> ids{IdOf(*first, {"plain", "f"}),
                                       IdOf(*first, {"iris", "1", "MLmodel"}),
                                       IdOf(*first, {"second", "wine", "1", "MLmodel"})};
  first.reset();
  auto next = Next();
  ASSERT_TRUE(next) << next.error().what;
  EXPECT_THAT(NamesNow(**next, Tree::kRootId), UnorderedElementsAre("plain", "second", "iris"));
  for (const auto id : ids) EXPECT_TRUE((*next)->Identity(id)) << id;
  EXPECT_EQ(IdOf(**next, {"plain", "f"}), ids[0]);
  EXPECT_EQ(IdOf(**next, {"iris", "1", "MLmodel"}), ids[1]);
  EXPECT_EQ(IdOf(**next, {"second", "wine", "1", "MLmodel"}), ids[2]);
}

TEST_F(RegistrySuccessionTest, ARegistryThatIsGoneKeepsItsNumbers) {
  auto first = First();
  const auto file = IdOf(*first, {"iris", "1", "MLmodel"});
  first.reset();
  auto other = std::make_shared<test::FakeRegistry>();
  other->Add("wine", 1, {"MLmodel"});
  sources_ = {{.name = "second", .registry = other}};
  {
    auto next = Next();
    ASSERT_TRUE(next) << next.error().what;
    EXPECT_THAT(NamesNow(**next, Tree::kRootId), UnorderedElementsAre("second"));
    EXPECT_EQ((*next)->Get(file)->size_bytes, 10u) << "its attributes are still known";
    EXPECT_NE(IdOf(**next, {"second", "wine", "1", "MLmodel"}), file);
  }
  // And when it is back, whoever has it open reads it again.
  sources_ = {{.name = "", .registry = registry_}};
  auto last = Next();
  ASSERT_TRUE(last) << last.error().what;
  EXPECT_THAT(NamesNow(**last, Tree::kRootId), UnorderedElementsAre("iris"));
  EXPECT_EQ((*last)->Identity(file)->key, "MLmodel");
}

TEST_F(RegistrySuccessionTest, RefusesALogThatMakesNoSense) {
  const RegistryRecord registry{
      .number = 1, .name = "", .registry = "mlflow:http://fake", .domain = "domain"};
  const ModelRecord model{.registry = 1, .number = 0, .raw = "iris", .shown = "iris"};
  const LineRecord line{.registry = 1, .number = 0, .model = 0, .name = "1"};
  const std::vector<std::vector<NodeRecord>> bad{
      {RegistryRecord{.number = 2}},
      {model},
      {registry, ModelRecord{.registry = 1, .number = 1, .raw = "iris", .shown = "iris"}},
      {registry, line},
      {registry, model, LineRecord{.registry = 2, .number = 0, .model = 0, .name = "1"}},
      {registry, model, line, FilesRecord{.registry = 1, .serial = 4, .line = 0}},
      {registry, model, line, FilesRecord{.registry = 1, .serial = 3, .line = 1}},
  };
  for (std::size_t i = 0; i < bad.size(); ++i) {
    nodes_ = *NodeLog::Create();
    for (const NodeRecord& record : bad[i]) nodes_->Append(EncodeNodeRecord(record));
    const auto next = Next();
    ASSERT_FALSE(next) << i;
    EXPECT_EQ(next.error().code, Errc::kCorrupt) << i;
  }
  // The last of them, but right.
  nodes_ = *NodeLog::Create();
  for (const NodeRecord& record : std::vector<NodeRecord>{
           registry, model, line, FilesRecord{.registry = 1, .serial = 3, .line = 0}}) {
    nodes_->Append(EncodeNodeRecord(record));
  }
  EXPECT_TRUE(Next());
}

TEST(NodeRecordTest, CutShortIsNoRecord) {
  const std::vector<NodeRecord> records{
      SlotRecord{.serial = 1, .name = "n", .origin = "o"},
      DirectoryRecord{.serial = 2, .parent = 1, .index = 3},
      RegistryRecord{.number = 1, .name = "n", .registry = "r", .domain = "d", .models = {"a*"}},
      ModelRecord{.registry = 1, .number = 2, .raw = "r", .shown = "s", .created_ms = 5},
      LineRecord{.registry = 1, .number = 2, .model = 3, .name = "7", .target = "", .version = {}},
      FilesRecord{.registry = 1, .serial = 3, .line = 0, .manifest = {}}};
  for (const NodeRecord& record : records) {
    const std::string bytes = EncodeNodeRecord(record);
    const auto whole = DecodeNodeRecord(bytes);
    ASSERT_TRUE(whole) << record.index();
    EXPECT_EQ(whole->index(), record.index());
    EXPECT_EQ(EncodeNodeRecord(*whole), bytes);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_FALSE(DecodeNodeRecord(std::string_view(bytes).substr(0, length)))
          << record.index() << " of " << length;
    }
  }
}

}  // namespace
}  // namespace modelfs::fs
