// What S3Origin learns of an object's checksums: from the embedded origin in every form, and from
// servers of other people.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fetch/base/base64.h"
#include "tests/contract/origin_fixture.h"
#include "tests/support/origin/publication.h"

namespace modelfs::test {
namespace {

using fetch::ChecksumKind;
using fetch::PublishedChecksum;
using testing::Contains;
using testing::ElementsAre;

Result<fetch::PublishedChecksums> Ask(fetch::Origin& origin, const fetch::ObjectId& object) {
  Await<fetch::PublishedChecksums> sums;
  origin.Checksums(object, sums.done());
  return sums.Wait();
}

class EmbeddedChecksums : public OriginFixture<EmbeddedHost> {
 protected:
  Result<fetch::PublishedChecksums> Published(const Publication& publication) {
    Put("weights", text_);
    const auto published = host().origin().objects().Publish(
        S3Host::kBucket, fmt::format("{}/weights", Folder()), publication);
    EXPECT_TRUE(published) << published.error().what;
    const auto origin = Open();
    return Ask(*origin, Pin(*origin, "weights"));
  }
  const std::string text_ = PatternText(5, 10'001);
  const ByteRange all_{0, 10'001};
};

TEST_F(EmbeddedChecksums, ArePublishedInEveryKind) {
  for (const ChecksumKind kind :
       {ChecksumKind::kCrc64Nvme, ChecksumKind::kCrc32, ChecksumKind::kCrc32c, ChecksumKind::kSha1,
        ChecksumKind::kSha256, ChecksumKind::kMd5}) {
    const auto sums = Published({.kinds = {kind}});
    ASSERT_TRUE(sums) << sums.error().what;
    EXPECT_THAT(*sums, ElementsAre(PublishedChecksum{kind, all_, ChecksumOf(kind, text_)}));
    const auto wrong = Published({.kinds = {kind}, .wrong = true});
    ASSERT_TRUE(wrong) << wrong.error().what;
    ASSERT_EQ(wrong->size(), 1u);
    EXPECT_NE(wrong->front().value, ChecksumOf(kind, text_));
  }
}

TEST_F(EmbeddedChecksums, ArePublishedByParts) {
  for (const ChecksumKind kind :
       {ChecksumKind::kCrc32, ChecksumKind::kCrc32c, ChecksumKind::kSha1, ChecksumKind::kSha256}) {
    const auto sums = Published({.kinds = {kind}, .part_size_bytes = 4096});
    ASSERT_TRUE(sums) << sums.error().what;
    fetch::PublishedChecksums expected;
    for (std::uint64_t at = 0; at < text_.size(); at += 4096) {
      const auto range = ByteRange::At(at, 4096).Intersect(all_);
      expected.push_back({kind, range, ChecksumOf(kind, text_.substr(range.begin, range.size()))});
    }
    EXPECT_EQ(*sums, expected);
  }
}

TEST_F(EmbeddedChecksums, OfThousandsOfPartsComeInPages) {
  const auto sums = Published({.kinds = {ChecksumKind::kCrc32}, .part_size_bytes = 4});
  ASSERT_TRUE(sums) << sums.error().what;
  EXPECT_EQ(sums->size(), 2501u);
  EXPECT_EQ(sums->back().range, (ByteRange{10'000, 10'001}));
}

TEST_F(EmbeddedChecksums, EndWithTheObject) {
  ASSERT_TRUE(Published({.kinds = {ChecksumKind::kMd5}}));
  Put("weights", PatternText(6, 10'001));
  const auto origin = Open();
  EXPECT_THAT(*Ask(*origin, Pin(*origin, "weights")), testing::IsEmpty());
}

TEST(ChecksumOf, KnowsTheVectorsOfTheCatalogue) {
  const auto text = [](ChecksumKind kind, std::string_view of) {
    return Base64Encode(ChecksumOf(kind, of));
  };
  EXPECT_EQ(text(ChecksumKind::kCrc64Nvme, "123456789"), "rosUhgp5mIg=");
  EXPECT_EQ(text(ChecksumKind::kCrc64Nvme, "hello world"), "jSnVw/bqjr4=");
  EXPECT_EQ(text(ChecksumKind::kCrc32, "hello world"), "DUoRhQ==");
  EXPECT_EQ(text(ChecksumKind::kCrc32c, "123456789"), "4waSgw==");
}

template <class Host>
class ChecksumContract : public OriginFixture<Host> {
 protected:
  const S3Client& client() { return this->host().client(); }
  std::string Path() const {
    return fmt::format("/{}/{}/weights", S3Host::kBucket, this->Folder());
  }
  Result<HttpCall::Reply> Sent(const Result<HttpCall::Reply>& reply) {
    EXPECT_TRUE(reply) << reply.error().what;
    if (reply) {
      EXPECT_EQ(reply->status, 200) << reply->body;
    }
    return reply;
  }
};

using Servers = testing::Types<VersitygwHost, MotoHost>;
TYPED_TEST_SUITE(ChecksumContract, Servers, HostNames);

TYPED_TEST(ChecksumContract, OfAWholeUpload) {
  const std::string text = PatternText(1, 100'000);
  struct Way {
    const char* header;
    const char* algorithm;
    ChecksumKind kind;
  };
  for (const auto& [header, algorithm, kind] :
       {Way{"x-amz-checksum-crc32", "CRC32", ChecksumKind::kCrc32},
        Way{"x-amz-checksum-sha256", "SHA256", ChecksumKind::kSha256}}) {
    const std::string sum = ChecksumOf(kind, text);
    this->Sent(this->client().Send(
        "PUT", this->Path(), text,
        {{}, {{header, Base64Encode(sum)}, {"x-amz-sdk-checksum-algorithm", algorithm}}}));
    const auto origin = this->Open();
    const auto sums = Ask(*origin, this->Pin(*origin, "weights"));
    ASSERT_TRUE(sums) << sums.error().what;
    EXPECT_THAT(*sums, Contains(PublishedChecksum{kind, {0, text.size()}, sum}));
    EXPECT_THAT(*sums,
                Contains(PublishedChecksum{
                    ChecksumKind::kMd5, {0, text.size()}, ChecksumOf(ChecksumKind::kMd5, text)}));
  }
}

TYPED_TEST(ChecksumContract, OfPartsOfAnUpload) {
  const std::vector<std::string> parts = {PatternText(1, 5 << 20), PatternText(2, 70'000)};
  const auto begun = this->Sent(this->client().Send(
      "POST", this->Path(), "", {{{"uploads", ""}}, {{"x-amz-checksum-algorithm", "CRC32"}}}));
  const std::size_t at = begun->body.find("<UploadId>") + 10;
  const std::string id = begun->body.substr(at, begun->body.find('<', at) - at);
  std::string list;
  fetch::PublishedChecksums expected;
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string sum = ChecksumOf(ChecksumKind::kCrc32, parts[i]);
    const auto reply =
        this->Sent(this->client().Send("PUT", this->Path(), parts[i],
                                       {{{"partNumber", std::to_string(i + 1)}, {"uploadId", id}},
                                        {{"x-amz-checksum-crc32", Base64Encode(sum)}}}));
    list += fmt::format(
        "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag><ChecksumCRC32>{}</ChecksumCRC32></Part>",
        i + 1, reply->Header("etag"), Base64Encode(sum));
    expected.push_back({ChecksumKind::kCrc32, ByteRange::At(begin, parts[i].size()), sum});
    begin += parts[i].size();
  }
  this->Sent(this->client().Send(
      "POST", this->Path(),
      fmt::format("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", list),
      {{{"uploadId", id}}, {}}));
  const auto origin = this->Open();
  const auto object = this->Pin(*origin, "weights");
  ASSERT_EQ(object.size_bytes, begin);
  const auto sums = Ask(*origin, object);
  ASSERT_TRUE(sums) << sums.error().what;
  // Neither of them tells the parts at the moment. What must not come is the checksum of their
  // checksums, which moto does not mark, as one of the whole.
  EXPECT_TRUE(sums->empty() || *sums == expected) << sums->size();
}

TYPED_TEST(ChecksumContract, ChangesAreNoticed) {
  this->Put("weights", "one");
  const auto origin = this->Open();
  const auto object = this->Pin(*origin, "weights");
  this->Put("weights", "two");
  const auto sums = Ask(*origin, object);
  ASSERT_FALSE(sums);
  EXPECT_EQ(sums.error().code, Errc::kChanged) << sums.error().what;
}

class VersionContract : public OriginFixture<MotoHost> {};

TEST_F(VersionContract, AReplacedObjectCanBeReadToItsEnd) {
  const auto enabled = host().client().Send(
      "PUT", fmt::format("/{}", S3Host::kBucket),
      "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
      {{{"versioning", ""}}, {}});
  ASSERT_TRUE(enabled);
  ASSERT_EQ(enabled->status, 200) << enabled->body;
  Put("weights", PatternText(1, 5000));
  const auto origin = Open();
  const auto object = Pin(*origin, "weights");
  EXPECT_TRUE(ReadsPattern(*origin, object, {0, 1000}, 1));
  Put("weights", PatternText(2, 5000));
  EXPECT_TRUE(ReadsPattern(*origin, object, {1000, 5000}, 1));
  EXPECT_TRUE(ReadsPattern(*origin, Pin(*origin, "weights"), {0, 5000}, 2));
}

}  // namespace
}  // namespace modelfs::test
