#include "index/profile_file.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <string>

namespace modelfs::index {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

ProfileFile Example() {
  return {.profiles = {{.name = "model.safetensors",
                        .profile = {.object_bytes = 100 * kMiB,
                                    .ranges = {{50 * kMiB, 60 * kMiB}, {0, 3 * kMiB}}}},
                       {.name = "b\xff.bin",
                        .profile = {.object_bytes = 9 * kMiB, .ranges = {{0, 9 * kMiB}}}}}};
}

/// `body` with the sum that it should have.
std::string Summed(std::string body) {
  const std::uint64_t sum = XXH3_64bits(body.data(), body.size());
  for (int shift = 0; shift < 64; shift += 8) body.push_back(static_cast<char>(sum >> shift));
  return body;
}

std::string Complaint(std::string_view bytes) {
  const auto file = ProfileFile::Decode(bytes);
  if (file) return "accepted";
  EXPECT_EQ(file.error().code, Errc::kInvalid);
  return file.error().what;
}

TEST(ProfileFileTest, IsReadAsItWasWritten) {
  const auto file = ProfileFile::Decode(Example().Encode());
  ASSERT_TRUE(file) << file.error().what;
  EXPECT_EQ(file->profiles, Example().profiles);
  EXPECT_TRUE(ProfileFile::Decode(ProfileFile().Encode())->profiles.empty());
}

TEST(ProfileFileTest, EveryByteIsUnderTheChecksum) {
  const std::string good = Example().Encode();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    EXPECT_NE(Complaint(bad), "accepted") << "byte " << i;
    EXPECT_NE(Complaint(good.substr(0, i)), "accepted") << "cut off at " << i;
  }
  EXPECT_NE(Complaint(good + "x"), "accepted");
}

TEST(ProfileFileTest, NamesItsVersion) {
  std::string body = Example().Encode();
  body[8] = 2;
  EXPECT_EQ(Complaint(body),
            "no file of access profiles: it is of version 2, and this program reads 1");
}

TEST(ProfileFileTest, NamesThatLeadElsewhereAreRefused) {
  for (const char* const name : {"", ".", "..", "a/b", "../a"}) {
    ProfileFile file = Example();
    file.profiles[1].name = name;
    EXPECT_EQ(Complaint(file.Encode()), "no file of access profiles: profile 2 of 2 makes no sense")
        << name;
  }
  ProfileFile file = Example();
  file.profiles[0].name = std::string("a\0b", 3);
  EXPECT_NE(Complaint(file.Encode()), "accepted");
  file.profiles[0].name = std::string(1'025, 'a');
  EXPECT_NE(Complaint(file.Encode()), "accepted");
}

TEST(ProfileFileTest, RangesThatCannotBeAreRefused) {
  const auto complaint = [](std::uint64_t size, std::vector<ByteRange> ranges) {
    ProfileFile file;
    file.profiles.push_back(
        {.name = "m", .profile = {.object_bytes = size, .ranges = std::move(ranges)}});
    return Complaint(file.Encode());
  };
  EXPECT_EQ(complaint(10, {{0, 10}}), "accepted");
  EXPECT_NE(complaint(10, {{0, 11}}), "accepted") << "beyond the object";
  EXPECT_NE(complaint(10, {{5, 5}}), "accepted") << "empty";
  EXPECT_NE(complaint(10, {{0, 6}, {0, 6}}), "accepted") << "more than the object has";
  EXPECT_NE(complaint(~std::uint64_t{0}, std::vector<ByteRange>(3, {0, ~std::uint64_t{0}})),
            "accepted")
      << "a sum that overflows";
}

TEST(ProfileFileTest, CountsThatLieAreRefused) {
  std::string body = ProfileFile().Encode();
  body.resize(body.size() - 8);
  body[12] = 1;
  EXPECT_NE(Complaint(Summed(body)), "accepted");
  body[12] = body[13] = body[14] = body[15] = '\xff';
  EXPECT_NE(Complaint(Summed(body)), "accepted");
}

}  // namespace
}  // namespace modelfs::index
