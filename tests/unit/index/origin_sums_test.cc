#include "index/origin_sums.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <array>
#include <string>
#include <vector>

#include "index/crc.h"
#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

using fetch::ChecksumKind;
using fetch::PublishedChecksums;
using index::Verified;

std::string Value(ChecksumKind kind, std::span<const std::byte> bytes) {
  if (index::Crc::IsCrc(kind)) {
    const std::uint64_t crc = index::Crc::Of(kind, bytes);
    std::string out;
    for (int i = kind == ChecksumKind::kCrc64Nvme ? 7 : 3; i >= 0; --i) {
      out.push_back(static_cast<char>(crc >> (8 * i)));
    }
    return out;
  }
  const EVP_MD* md = kind == ChecksumKind::kSha256 ? EVP_sha256()
                     : kind == ChecksumKind::kSha1 ? EVP_sha1()
                                                   : EVP_md5();
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, md, nullptr);
  return {reinterpret_cast<const char*>(digest.data()), length};
}

/// What is published: the kind, and the size of the parts; 0: of the whole.
struct Case {
  ChecksumKind kind;
  std::uint64_t part;
};

/// Objects against what their origin publishes, with every kind.
class OriginSumsTest : public CacheFixture, public ::testing::WithParamInterface<Case> {
 protected:
  PublishedChecksums Sums(const std::vector<std::byte>& bytes) const {
    const std::uint64_t part = GetParam().part == 0 ? bytes.size() : GetParam().part;
    PublishedChecksums sums;
    for (std::uint64_t at = 0; at < bytes.size(); at += part) {
      const std::uint64_t n = std::min<std::uint64_t>(part, bytes.size() - at);
      sums.push_back({GetParam().kind, ByteRange::At(at, n),
                      Value(GetParam().kind, std::span(bytes).subspan(at, n))});
    }
    return sums;
  }
  Verified VerifiedOf(const std::string& key) {
    const auto found = cache_->Find(origin_->IdOf(key));
    return found ? found->verified : Verified::kNo;
  }
  const std::vector<std::byte> bytes_ = MakeBytes(21, 21 * kChunk + 99);
};

TEST_P(OriginSumsTest, AWholeObjectIsCompared) {
  OpenCache();
  origin_->Put("m", bytes_);
  origin_->Publish("m", Sums(bytes_));
  ASSERT_TRUE(FetchAll(Get("m")));
  EXPECT_EQ(VerifiedOf("m"), Verified::kOrigin);
  EXPECT_EQ(origin_->checksum_requests(), 1u);
  EXPECT_EQ(origin_->bytes_asked(), bytes_.size());
  ASSERT_EQ(Verify()->bad_chunks, 0u);
  OpenCache();
  EXPECT_EQ(VerifiedOf("m"), Verified::kOrigin);
  ASSERT_TRUE(FetchAll(Get("m")));
  EXPECT_EQ(origin_->checksum_requests(), 1u);
}

TEST_P(OriginSumsTest, ReadersBringItAboutToo) {
  OpenCache();
  origin_->Put("m", bytes_);
  origin_->Publish("m", Sums(bytes_));
  EXPECT_EQ(Read(Get("m"), 0, bytes_.size()).value(), bytes_);
  EXPECT_TRUE(Eventually([&] { return VerifiedOf("m") == Verified::kOrigin; }));
}

TEST_P(OriginSumsTest, WrongOnceIsFetchedAgain) {
  auto wrong = bytes_;
  wrong[5 * kChunk + 7] ^= std::byte{4};
  OpenCache();
  const auto id = origin_->Put("m", bytes_);
  origin_->Publish("m", Sums(bytes_));
  origin_->Corrupt("m", wrong, 1);
  ASSERT_TRUE(FetchAll(Get("m")));
  EXPECT_EQ(VerifiedOf("m"), Verified::kOrigin);
  EXPECT_EQ(Read(Get("m"), 0, bytes_.size()).value(), bytes_);
  EXPECT_GT(cache_->Stats().quarantined_chunks, 0u);
}

TEST_P(OriginSumsTest, WrongAgainIsAnErrorAndNotServed) {
  auto wrong = bytes_;
  wrong[5 * kChunk + 7] ^= std::byte{4};
  OpenCache();
  origin_->Put("m", bytes_);
  origin_->Publish("m", Sums(bytes_));
  origin_->Corrupt("m", wrong, 1000);
  const auto object = Get("m");
  EXPECT_EQ(FetchAll(object).error().code, Errc::kCorrupt);
  EXPECT_EQ(Read(object, 5 * kChunk, 100).error().code, Errc::kCorrupt);
  EXPECT_EQ(FetchAll(object).error().code, Errc::kCorrupt);
  std::vector<std::byte> out(100);
  EXPECT_EQ(object->TryReadNow(5 * kChunk, out), std::nullopt);
  EXPECT_FALSE(object->Status().whole);
}

TEST_P(OriginSumsTest, DamageOnDiskInBetweenIsMended) {
  OpenCache();
  const auto id = origin_->Put("m", bytes_);
  ASSERT_TRUE(FetchAll(Get("m")));  // Nothing is published yet.
  EXPECT_EQ(VerifiedOf("m"), Verified::kNo);
  cache_.reset();
  std::filesystem::resize_file(PathOf(id) / "data", 20 * kChunk);
  origin_->Publish("m", Sums(bytes_));
  OpenCache();
  EXPECT_EQ(Read(Get("m"), 0, bytes_.size()).value(), bytes_);
  EXPECT_TRUE(Eventually([&] { return VerifiedOf("m") == Verified::kOrigin; }));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, OriginSumsTest,
    ::testing::Values(Case{ChecksumKind::kCrc64Nvme, 0}, Case{ChecksumKind::kCrc32, 0},
                      Case{ChecksumKind::kCrc32c, 0}, Case{ChecksumKind::kSha256, 0},
                      Case{ChecksumKind::kSha1, 0}, Case{ChecksumKind::kMd5, 0},
                      Case{ChecksumKind::kCrc32, 8 * (256u << 10)},
                      Case{ChecksumKind::kCrc32c, 700'000}, Case{ChecksumKind::kSha256, 1'000'000}),
    [](const auto& p) {
      return std::to_string(static_cast<int>(p.param.kind)) + "x" + std::to_string(p.param.part);
    });

}  // namespace
}  // namespace modelfs::test
