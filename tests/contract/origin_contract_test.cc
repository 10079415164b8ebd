// What every Origin does, whatever it is made of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/contract/origin_fixture.h"

namespace modelfs::test {
namespace {

using fetch::Entry;
using testing::ElementsAre;
using testing::ElementsAreArray;

template <class Host>
class OriginContract : public OriginFixture<Host> {};

using Hosts = testing::Types<EmbeddedHost, EmbeddedPercentHost, VersitygwHost, MotoHost, DirHost,
                             FakeHost, NginxHost, NginxJsonHost, PythonHost>;
TYPED_TEST_SUITE(OriginContract, Hosts, HostNames);

constexpr std::size_t kSize = 3'000'017;

TYPED_TEST(OriginContract, ListsTheRoot) {
  this->Put("weights.bin", PatternText(1, 1000));
  this->Put("config.json", "{}");
  this->Put("onnx/model.onnx", "x");
  const auto origin = this->Open();
  const auto listing = this->List(*origin);
  ASSERT_THAT(this->Names(listing), ElementsAre("config.json", "onnx/", "weights.bin"));
  const Entry& file = listing->entries[2];
  EXPECT_EQ(file.size_bytes, 1000u);
  EXPECT_FALSE(file.tag.empty());
}

TYPED_TEST(OriginContract, TellsWhenAFileWasModified) {
  if (std::is_same_v<TypeParam, FakeHost>) return;  // "Epoch where the origin does not say."
  this->Put("a", "x");
  const auto origin = this->Open();
  const auto listing = this->List(*origin);
  ASSERT_THAT(this->Names(listing), ElementsAre("a"));
  const auto age = std::chrono::system_clock::now() - listing->entries[0].modified;
  EXPECT_LT(std::chrono::abs(age), std::chrono::minutes(2));
}

TYPED_TEST(OriginContract, ListsNestedDirectories) {
  this->Put("a/b/c/deep.bin", "1234");
  this->Put("a/b/top.bin", "12");
  this->Put("a/z", "1");
  const auto origin = this->Open();
  EXPECT_THAT(this->Names(this->List(*origin, "a/")), ElementsAre("b/", "z"));
  EXPECT_THAT(this->Names(this->List(*origin, "a/b/")), ElementsAre("c/", "top.bin"));
  const auto deep = this->List(*origin, "a/b/c/");
  ASSERT_THAT(this->Names(deep), ElementsAre("deep.bin"));
  EXPECT_EQ(deep->entries[0].size_bytes, 4u);
}

TYPED_TEST(OriginContract, KeepsToItsOwnDirectory) {
  this->Put("ab/inside", "x");
  this->Put("abc/beside", "x");
  this->Put("ab.txt", "x");
  const auto origin = this->Open();
  EXPECT_THAT(this->Names(this->List(*origin, "ab/")), ElementsAre("inside"));
}

TYPED_TEST(OriginContract, ListsMoreThanOnePage) {
  constexpr int kFiles = 1005;
  std::vector<std::string> expected;
  for (int i = 0; i < kFiles; ++i) {
    expected.push_back(fmt::format("shard-{:05}.bin", i));
    this->Put("many/" + expected.back(), "x");
    if (this->HasFatalFailure()) return;
  }
  this->Put("many/sub/file", "x");
  expected.emplace_back("sub/");
  const auto origin = this->Open();
  EXPECT_THAT(this->Names(this->List(*origin, "many/")), ElementsAreArray(expected));
}

TYPED_TEST(OriginContract, ListsAndReadsOddNames) {
  std::vector<std::string> names = {
      "with space.bin", " leading",      "plus+plus",  "per%cent",     "%41%2F",   "a=b&c=d",
      "quo\"te'",       "semi;colon",    "hash#tag",   "ques?tion",    "tilde~x",  "back\\slash",
      "(par)[en]{s}",   "a,b:c@d$e!f*g", "<xml>&amp;", "ünïcode-日本", "..double", "trail.",
      "caret^`|",       ".hidden",       "-dash",      "plus + space"};
  if (TypeParam::kHidesDotFiles) {
    std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    this->Put("odd dir+%/" + names[i], PatternText(i, 100 + i));
    if (this->HasFatalFailure()) return;
  }
  const auto origin = this->Open();
  ASSERT_THAT(this->Names(this->List(*origin)), ElementsAre("odd dir+%/"));
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  ASSERT_THAT(this->Names(this->List(*origin, "odd dir+%/")), ElementsAreArray(sorted));
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto object = this->Pin(*origin, names[i], "odd dir+%/");
    EXPECT_EQ(object.size_bytes, 100 + i) << names[i];
    EXPECT_TRUE(this->ReadsPattern(*origin, object, {0, 100 + i}, i)) << names[i];
  }
}

TYPED_TEST(OriginContract, ListsAnEmptyFile) {
  this->Put("empty", "");
  this->Put("full", "x");
  const auto origin = this->Open();
  const auto listing = this->List(*origin);
  ASSERT_THAT(this->Names(listing), ElementsAre("empty", "full"));
  EXPECT_EQ(listing->entries[0].size_bytes, 0u);
  EXPECT_EQ(origin->Pin("", listing->entries[0]).size_bytes, 0u);
}

// "An object that does not exist lists as empty where the origin cannot tell."
TYPED_TEST(OriginContract, HasNothingInADirectoryThatDoesNotExist) {
  this->Put("a", "x");
  const auto origin = this->Open();
  const auto listing = this->List(*origin, "nowhere/");
  if (listing) {
    EXPECT_THAT(this->Names(listing), ElementsAre());
  } else {
    EXPECT_EQ(listing.error().code, Errc::kNotFound) << listing.error().what;
  }
}

TYPED_TEST(OriginContract, ReadsRanges) {
  this->Put("weights", PatternText(7, kSize));
  const auto origin = this->Open();
  const auto object = this->Pin(*origin, "weights");
  ASSERT_EQ(object.size_bytes, kSize);
  for (const ByteRange range : {ByteRange{0, 1}, ByteRange{0, 4096}, ByteRange{kSize - 1, kSize},
                                ByteRange{kSize - 4097, kSize}, ByteRange{1'234'567, 2'345'678},
                                ByteRange{1'048'575, 1'048'577}, ByteRange{0, kSize}}) {
    EXPECT_TRUE(this->ReadsPattern(*origin, object, range, 7))
        << '[' << range.begin << ',' << range.end << ')';
  }
}

TYPED_TEST(OriginContract, ReadsManyRangesAtOnce) {
  if (std::is_same_v<TypeParam, PythonHost>) return;  // It knows no ranges.
  this->Put("weights", PatternText(8, kSize));
  const auto origin = this->Open();
  const auto object = this->Pin(*origin, "weights");
  struct Reading {
    ByteRange range;
    std::shared_ptr<CollectingSink> sink = std::make_shared<CollectingSink>();
    Await<void> done;
  };
  std::deque<Reading> readings(64);
  constexpr std::uint64_t kPiece = kSize / 64;
  for (std::size_t i = 0; i < readings.size(); ++i) {
    readings[i].range = ByteRange::At(i * kPiece, kPiece + 1000 * (i % 2)).Intersect({0, kSize});
    origin->Read(object, readings[i].range, readings[i].sink, readings[i].done.done());
  }
  for (Reading& reading : readings) {
    const auto done = reading.done.Wait();
    ASSERT_TRUE(done) << done.error().what;
    ASSERT_EQ(reading.sink->bytes().size(), reading.range.size());
    EXPECT_FALSE(PatternMismatch(8, reading.range.begin, reading.sink->bytes()));
    EXPECT_EQ(reading.done.calls(), 1);
  }
}

TYPED_TEST(OriginContract, PinsTheSameObjectToTheSameIdentity) {
  this->Put("a", PatternText(1, 100));
  this->Put("b", PatternText(1, 100));
  const auto origin = this->Open();
  const auto first = this->Pin(*origin, "a"), again = this->Pin(*this->Open(), "a");
  EXPECT_EQ(first, again);
  EXPECT_EQ(first.Digest(), again.Digest());
  EXPECT_EQ(first.Digest().size(), 64u);
  EXPECT_NE(first.Digest(), this->Pin(*origin, "b").Digest());
}

TYPED_TEST(OriginContract, RefusesBytesOfAReplacedObject) {
  this->Put("weights", PatternText(1, 5000));
  const auto origin = this->Open();
  const auto object = this->Pin(*origin, "weights");
  EXPECT_TRUE(this->ReadsPattern(*origin, object, {0, 1000}, 1));
  this->Put("weights", PatternText(2, 5000));  // Of the same size.
  const auto read = this->Read(*origin, object, {1000, 2000});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kChanged) << read.error().what;

  const auto fresh = this->Pin(*origin, "weights");
  EXPECT_NE(fresh, object);
  EXPECT_TRUE(this->ReadsPattern(*origin, fresh, {0, 5000}, 2));
}

TYPED_TEST(OriginContract, RefusesBytesOfAnObjectThatBecameShorter) {
  this->Put("weights", PatternText(1, 5000));
  const auto origin = this->Open();
  const auto object = this->Pin(*origin, "weights");
  this->Put("weights", PatternText(2, 10));
  const auto read = this->Read(*origin, object, {4000, 5000});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kChanged) << read.error().what;
}

// The pinned bytes cannot be had any more: origins call it gone, or changed.
TYPED_TEST(OriginContract, SaysThatARemovedObjectIsGone) {
  this->Put("weights", PatternText(1, 5000));
  this->Put("other", "x");
  const auto origin = this->Open();
  const auto object = this->Pin(*origin, "weights");
  const auto removed = this->host().Remove(this->Folder(), "weights");
  ASSERT_TRUE(removed) << removed.error().what;
  const auto read = this->Read(*origin, object, {0, 1000});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kChanged) << read.error().what;
  EXPECT_THAT(this->Names(this->List(*origin)), ElementsAre("other"));
}

TYPED_TEST(OriginContract, ProbesWell) {
  this->Put("a", "x");
  const auto origin = this->Open();
  const auto probe = this->Probe(*origin);
  EXPECT_TRUE(probe) << probe.error().what;
}

TYPED_TEST(OriginContract, CompletesEverythingWhenItIsDestroyed) {
  this->Put("weights", PatternText(1, kSize));
  auto origin = this->Open();
  const auto object = this->Pin(*origin, "weights");
  std::deque<Await<void>> reads(20);
  std::deque<Await<fetch::Listing>> lists(20);
  for (std::size_t i = 0; i < reads.size(); ++i) {
    origin->Read(object, {0, kSize}, std::make_shared<CollectingSink>(), reads[i].done());
    origin->List("", lists[i].done());
  }
  origin.reset();
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const auto read = reads[i].Wait();
    if (!read) {
      EXPECT_EQ(read.error().code, Errc::kCancelled) << read.error().what;
    }
    const auto list = lists[i].Wait();
    if (!list) {
      EXPECT_EQ(list.error().code, Errc::kCancelled) << list.error().what;
    }
    EXPECT_EQ(reads[i].calls() + lists[i].calls(), 2);
  }
}

}  // namespace
}  // namespace modelfs::test
