#include "fetch/dir/dir_origin.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fetch/dir/beneath.h"
#include "fetch/dir/dir_reader.h"
#include "tests/support/await.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fetch/string_sink.h"

namespace modelfs::test {
namespace {

namespace fs = std::filesystem;
using fetch::DirOrigin;
using fetch::Entry;
using fetch::Listing;
using testing::ElementsAre;

class DirOriginTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(Root());
    origin_ = DirOrigin::Create(Root().string(), &pool_).value();
  }
  fs::path Root() const { return dir_.path() / "root"; }
  fs::path Write(const std::string& name, std::string_view text) const {
    return dir_.Write("root/" + name, text);
  }

  Result<Listing> List(std::string directory = "") {
    Await<Listing> listing;
    origin_->List(std::move(directory), listing.done());
    return listing.Wait();
  }
  std::vector<std::string> Names(std::string directory = "") {
    const auto listing = List(std::move(directory));
    if (!listing) return {"error: " + listing.error().what};
    std::vector<std::string> names;
    for (const Entry& e : listing->entries)
      names.push_back(e.name + (e.kind == Entry::Kind::kDirectory ? "/" : ""));
    return names;
  }
  fetch::ObjectId Pin(const std::string& directory, const std::string& name) {
    const auto listing = List(directory);
    for (const Entry& e : listing.value().entries) {
      if (e.name == name) return origin_->Pin(directory, e);
    }
    ADD_FAILURE() << "no " << name;
    return {};
  }
  Result<std::string> Read(const fetch::ObjectId& object, ByteRange range) {
    const auto sink = std::make_shared<StringSink>();
    Await<void> done;
    origin_->Read(object, range, sink, done.done());
    const auto result = done.Wait();
    if (!result) return std::unexpected(result.error());
    return sink->text;
  }

  TempDir dir_;
  WorkerPool pool_{"dir", 2};
  std::shared_ptr<DirOrigin> origin_;
};

TEST_F(DirOriginTest, ListsAndReads) {
  Write("a/model.bin", "0123456789");
  Write("b", "");
  EXPECT_THAT(Names(), ElementsAre("a/", "b"));
  const auto object = Pin("a/", "model.bin");
  EXPECT_EQ(object.size_bytes, 10u);
  EXPECT_EQ(object.Describe(), "dir:" + Root().string() + "/a/model.bin");
  EXPECT_EQ(Read(object, {0, 10}), "0123456789");
  EXPECT_EQ(Read(object, {3, 5}), "34");
}

TEST_F(DirOriginTest, ReadsAcrossItsPieces) {
  std::string text(3'000'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  Write("big", text);
  EXPECT_EQ(Read(Pin("", "big"), {1, text.size() - 1}), text.substr(1, text.size() - 2));
}

TEST_F(DirOriginTest, FollowsLinksBeneathItsRootOnly) {
  Write("blobs/x", "x");
  dir_.Write("outside/secret", "s");
  fs::create_directories(Root() / "snap");
  fs::create_symlink("../blobs/x", Root() / "snap/in");
  fs::create_symlink("../blobs", Root() / "snap/in_dir");
  fs::create_symlink("../../outside/secret", Root() / "snap/out");
  fs::create_symlink(dir_.path() / "outside/secret", Root() / "snap/absolute");
  fs::create_symlink(Root() / "blobs/x", Root() / "snap/absolute_inside");
  fs::create_symlink("../../outside", Root() / "snap/out_dir");
  fs::create_symlink("nowhere", Root() / "snap/dangling");
  fs::create_symlink("self", Root() / "snap/self");
  EXPECT_THAT(Names("snap/"), ElementsAre("in", "in_dir/"));
  EXPECT_THAT(Names("snap/in_dir/"), ElementsAre("x"));
  EXPECT_EQ(Read(Pin("snap/", "in"), {0, 1}), "x");
}

TEST_F(DirOriginTest, HidesLinksThatGoInCircles) {
  fs::create_directories(Root() / "a");
  fs::create_directories(Root() / "b");
  fs::create_symlink("..", Root() / "a/up");
  fs::create_symlink(".", Root() / "a/here");
  fs::create_symlink("../b", Root() / "a/x");
  fs::create_symlink("../a", Root() / "b/y");
  EXPECT_THAT(Names("a/"), ElementsAre("x/"));
  EXPECT_THAT(Names("a/x/"), ElementsAre());
  EXPECT_THAT(Names("b/"), ElementsAre("y/"));
}

TEST_F(DirOriginTest, HidesWhatIsNeitherFileNorDirectory) {
  ASSERT_EQ(::mkfifo((Root() / "pipe").c_str(), 0600), 0);
  Write("file", "x");
  fs::create_symlink("pipe", Root() / "link");
  EXPECT_THAT(Names(), ElementsAre("file"));
}

TEST_F(DirOriginTest, NothingLeadsOut) {
  dir_.Write("outside/secret", "s");
  Write("a/f", "x");
  EXPECT_FALSE(List("../outside/"));
  EXPECT_FALSE(List("a/../../outside/"));
  EXPECT_FALSE(List("/etc/"));
  fetch::ObjectId object = Pin("a/", "f");
  for (const std::string key : {"../outside/secret", "/etc/passwd", "a/../../outside/secret"}) {
    object.key = key;
    EXPECT_FALSE(Read(object, {0, 1})) << key;
  }
  object.key = std::string("a/f\0x", 5);
  EXPECT_FALSE(Read(object, {0, 1}));
}

TEST_F(DirOriginTest, NoticesThatAFileChanged) {
  const fs::path path = Write("f", "0123456789");
  const auto object = Pin("", "f");
  std::ofstream(path, std::ios::app) << "more";
  EXPECT_EQ(Read(object, {0, 5}).error().code, Errc::kChanged);
  Write("f", "9876543210");
  EXPECT_EQ(Read(object, {0, 5}).error().code, Errc::kChanged);
  fs::remove(path);
  EXPECT_EQ(Read(object, {0, 5}).error().code, Errc::kChanged);
  fs::create_directory(path);
  EXPECT_EQ(Read(object, {0, 5}).error().code, Errc::kChanged);
}

// Changes the file when the first piece arrives.
class Meddler final : public fetch::BodySink {
 public:
  explicit Meddler(fs::path path) : path_(std::move(path)) {}
  void Append(std::span<const std::byte> bytes) override {
    if (taken == 0) std::ofstream(path_, std::ios::app) << "x";
    taken += bytes.size();
  }
  std::size_t taken = 0;

 private:
  const fs::path path_;
};

TEST_F(DirOriginTest, AppendsNothingFromAFileThatChangesWhileItIsRead) {
  const fs::path path = Write("f", std::string(5'000'000, 'x'));
  const auto object = Pin("", "f");
  Meddler sink(path);
  const auto result = fetch::ReadDirObject(Root().string(), object, {0, 5'000'000}, sink, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kChanged);
  EXPECT_EQ(sink.taken, std::size_t{1} << 20);
}

TEST_F(DirOriginTest, APipeInTheFilesPlaceDoesNotBlock) {
  const fs::path path = Write("f", "x");
  const auto object = Pin("", "f");
  fs::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(Read(object, {0, 1}).error().code, Errc::kChanged);
}

TEST_F(DirOriginTest, TellsWhatIsMissing) {
  EXPECT_EQ(List("absent/").error().code, Errc::kNotFound);
  Write("file", "x");
  EXPECT_EQ(List("file/").error().code, Errc::kNotFound);
  Await<void> probe;
  origin_->Probe(std::chrono::seconds(1), probe.done());
  EXPECT_TRUE(probe.Wait());
  const auto absent = DirOrigin::Create((dir_.path() / "absent").string(), &pool_).value();
  Await<void> failed;
  absent->Probe(std::chrono::seconds(1), failed.done());
  EXPECT_EQ(failed.Wait().error().code, Errc::kNotFound);
}

TEST_F(DirOriginTest, IsAbsolute) {
  for (const std::string root : {"", "relative", "./x"})
    EXPECT_EQ(DirOrigin::Create(root, &pool_).error().code, Errc::kInvalid);
}

TEST_F(DirOriginTest, CompletesQueuedReadsWhenDestroyed) {
  Write("f", std::string(4'000'000, 'x'));
  const auto object = Pin("", "f");
  std::vector<Await<void>> reads(50);
  for (auto& read : reads)
    origin_->Read(object, {0, 4'000'000}, std::make_shared<StringSink>(), read.done());
  origin_.reset();
  int cancelled = 0;
  for (auto& read : reads) {
    const auto result = read.Wait();
    if (result) continue;
    EXPECT_EQ(result.error().code, Errc::kCancelled);
    ++cancelled;
  }
  EXPECT_GT(cancelled, 0);
}

}  // namespace
}  // namespace modelfs::test
