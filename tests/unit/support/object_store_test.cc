#include "tests/support/origin/object_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/origin/list_document.h"
#include "tests/support/pattern.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {
namespace {

using testing::ElementsAre;

class ObjectStoreTest : public testing::Test {
 protected:
  std::vector<std::string> Names(const ListQuery& query) {
    std::vector<std::string> names;
    const ListPage page = store_.List("b", query);
    for (const ListItem& item : page.items) names.push_back(item.name);
    if (page.truncated) names.emplace_back("...");
    return names;
  }
  std::string Text(const std::string& key) {
    const auto object = store_.Open("b", key);
    if (!object) return "error: " + object.error().what;
    std::string text(object->info.size_bytes, '\0');
    EXPECT_EQ(object->ReadAt(0, std::as_writable_bytes(std::span(text))), text.size());
    return text;
  }

  TempDir root_;
  ObjectStore store_{root_.path()};
};

TEST_F(ObjectStoreTest, ListsInTheOrderOfWholeKeys) {
  // '-' sorts before '/': not the order in which a tree is walked.
  for (const char* key : {"b/a/x", "b/a-b", "b/a0", "b/c"}) root_.Write(key, "1");
  EXPECT_THAT(Names({}), ElementsAre("a-b", "a/x", "a0", "c"));
  EXPECT_THAT(Names({.delimiter = "/"}), ElementsAre("a-b", "a/", "a0", "c"));
}

TEST_F(ObjectStoreTest, GoesOnWhereAPageEnded) {
  for (const char* key : {"b/a/x", "b/a/y", "b/b/z", "b/c"}) root_.Write(key, "1");
  EXPECT_THAT(Names({.delimiter = "/", .max_items = 1}), ElementsAre("a/", "..."));
  EXPECT_THAT(Names({.delimiter = "/", .after = "a/", .max_items = 1}), ElementsAre("b/", "..."));
  EXPECT_THAT(Names({.delimiter = "/", .after = "b/", .max_items = 1}), ElementsAre("c"));
  EXPECT_THAT(Names({.after = "a/x", .max_items = 2}), ElementsAre("a/y", "b/z", "..."));
}

TEST_F(ObjectStoreTest, ListsBelowAPrefix) {
  for (const char* key : {"b/dir/x", "b/dir/sub/y", "b/dirt", "b/other"}) root_.Write(key, "1");
  EXPECT_THAT(Names({.prefix = "dir/", .delimiter = "/"}), ElementsAre("dir/sub/", "dir/x"));
  EXPECT_THAT(Names({.prefix = "dir"}), ElementsAre("dir/sub/y", "dir/x", "dirt"));
  EXPECT_THAT(Names({.prefix = "dir", .delimiter = "/"}), ElementsAre("dir/", "dirt"));
  EXPECT_THAT(Names({.prefix = "../b/"}), ElementsAre());
}

TEST_F(ObjectStoreTest, ShowsNoEmptyFolder) {
  root_.Write("b/x", "1");
  std::filesystem::create_directories(root_.path() / "b/empty/emptier");
  EXPECT_THAT(Names({.delimiter = "/"}), ElementsAre("x"));
}

TEST_F(ObjectStoreTest, HoldsKeysThatAreNoFileNames) {
  const std::string nul("n\0l", 3);
  root_.Write("b/both", "file");
  for (const std::string& key : {std::string("../x"), std::string("a//b"), std::string("/lead"),
                                 nul, std::string(300, 'l'), std::string("both/below")}) {
    const auto upload = store_.BeginUpload();
    ASSERT_TRUE(upload);
    ASSERT_EQ(::write(upload->file.get(), key.data(), key.size()),
              static_cast<ssize_t>(key.size()));
    ASSERT_TRUE(store_.CommitUpload("b", key, upload->path));
    EXPECT_EQ(Text(key), key);
  }
  EXPECT_EQ(Text("both"), "file");
  EXPECT_THAT(Names({}), ElementsAre("../x", "/lead", "a//b", "both", "both/below",
                                     std::string(300, 'l'), nul));
  EXPECT_FALSE(std::filesystem::exists(root_.path() / "x"));
}

TEST_F(ObjectStoreTest, NeverReadsOutsideItsBucket) {
  root_.Write("secret", "s");
  root_.Write("b/x", "1");
  for (const char* key : {"../secret", "./x", "x/", "", "..", "sub/../x"}) {
    EXPECT_EQ(store_.Open("b", key).error().code, Errc::kNotFound) << key;
  }
  EXPECT_EQ(store_.Open("..", "b").error().code, Errc::kNotFound);
}

TEST_F(ObjectStoreTest, ChangesTheEtagWithTheContent) {
  const std::string first = store_.PutBytes("b", "k", "1");
  EXPECT_EQ(store_.Open("b", "k")->info.etag, first);
  EXPECT_NE(store_.PutBytes("b", "k", "1"), first);

  root_.Write("b/file", "1");
  const std::string before = store_.Open("b", "file")->info.etag;
  EXPECT_EQ(store_.Open("b", "file")->info.etag, before);
  const auto upload = store_.BeginUpload();
  ASSERT_TRUE(upload);
  const auto committed = store_.CommitUpload("b", "file", upload->path);
  ASSERT_TRUE(committed);
  EXPECT_NE(*committed, before);
  EXPECT_EQ(store_.Open("b", "file")->info.etag, *committed);
}

TEST_F(ObjectStoreTest, ReadsGeneratedObjectsAnywhere) {
  constexpr std::uint64_t kSize = 10'000'000'000;
  store_.PutPattern("b", "huge", kSize, 5);
  const auto object = store_.Open("b", "huge");
  ASSERT_TRUE(object);
  std::vector<std::byte> bytes(100);
  EXPECT_EQ(object->ReadAt(kSize - 60, bytes).value(), 60u);
  EXPECT_FALSE(PatternMismatch(5, kSize - 60, std::span(bytes).first(60)));
}

TEST_F(ObjectStoreTest, RemovesAnObjectAndTheFoldersThatItLeavesEmpty) {
  root_.Write("b/d/e/x", "1");
  root_.Write("b/d/y", "1");
  store_.Remove("b", "d/e/x");
  EXPECT_THAT(Names({}), ElementsAre("d/y"));
  store_.Remove("b", "d/y");
  store_.Remove("b", "never/was");
  EXPECT_TRUE(store_.HasBucket("b"));
  EXPECT_FALSE(std::filesystem::exists(root_.path() / "b/d"));
}

TEST(PatternTest, IsTheSameFromEveryOffset) {
  std::vector<std::byte> whole(1000);
  PatternBytes(3, 0, whole);
  for (std::size_t offset = 0; offset < 40; ++offset) {
    std::vector<std::byte> part(777);
    PatternBytes(3, offset, part);
    EXPECT_EQ(std::vector(whole.begin() + static_cast<long>(offset),
                          whole.begin() + static_cast<long>(offset) + 777),
              part);
  }
  EXPECT_FALSE(PatternMismatch(3, 0, whole));
  EXPECT_EQ(PatternMismatch(4, 0, whole), 0u);
  whole[999] ^= std::byte{1};
  EXPECT_EQ(PatternMismatch(3, 0, whole), 999u);
}

TEST(ListTokenTest, ComesBack) {
  for (const std::string& name : {std::string(), std::string("a"), std::string("ab"),
                                  std::string("abc"), std::string("\0\xff/+", 4)}) {
    EXPECT_EQ(DecodeListToken(EncodeListToken(name)), name);
  }
  EXPECT_FALSE(DecodeListToken("nonsense"));
}

}  // namespace
}  // namespace modelfs::test
