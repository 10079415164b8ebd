#include "fetch/s3/s3_checksums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/base64.h"
#include "tests/unit/fetch/s3/s3_origin_fixture.h"

namespace modelfs::test {
namespace {

using fetch::ChecksumKind;
using fetch::PublishedChecksum;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class S3ChecksumsTest : public S3OriginFixture {
 protected:
  S3ChecksumsTest() { Make(); }

  Result<fetch::PublishedChecksums> Ask(std::uint64_t size, std::string tag = "\"e1\"") {
    std::optional<Result<fetch::PublishedChecksums>> result;
    origin_->Checksums(Object(size, std::move(tag)), Into(result));
    Drive();
    if (!result) return Fail(Errc::kTimeout, "never completed");
    return std::move(*result);
  }
  static FakeReply Head(std::vector<std::pair<std::string, std::string>> headers,
                        std::string etag = "\"e1\"") {
    headers.emplace_back("etag", std::move(etag));
    return {.headers = std::move(headers)};
  }
  static FakeReply Attributes(std::string_view parts, std::string_view more = "") {
    return {.body = fmt::format("<GetObjectAttributesResponse xmlns=\"x\"><ETag>e1</ETag>"
                                "<ObjectParts>{}{}</ObjectParts></GetObjectAttributesResponse>",
                                more, parts)};
  }
  static std::string Part(int size, std::string_view element, std::string_view bytes) {
    return fmt::format("<Part><Size>{}</Size><{}>{}</{}></Part>", size, element,
                       Base64Encode(bytes), element);
  }
};

TEST_F(S3ChecksumsTest, TakesEveryKindOfTheWholeObject) {
  transport_.Then(Head({{"x-amz-checksum-crc64nvme", Base64Encode("12345678")},
                        {"x-amz-checksum-crc32", Base64Encode("1234")},
                        {"x-amz-checksum-crc32c", Base64Encode("4321")},
                        {"x-amz-checksum-sha256", Base64Encode(std::string(32, 's'))},
                        {"x-amz-checksum-sha1", Base64Encode(std::string(20, 't'))},
                        {"x-amz-checksum-type", "FULL_OBJECT"},
                        {"content-length", "9"}}));
  const auto sums = Ask(9);
  ASSERT_TRUE(sums) << sums.error().what;
  const ByteRange all{0, 9};
  EXPECT_THAT(*sums,
              ElementsAre(PublishedChecksum{ChecksumKind::kCrc64Nvme, all, "12345678"},
                          PublishedChecksum{ChecksumKind::kCrc32c, all, "4321"},
                          PublishedChecksum{ChecksumKind::kCrc32, all, "1234"},
                          PublishedChecksum{ChecksumKind::kSha256, all, std::string(32, 's')},
                          PublishedChecksum{ChecksumKind::kSha1, all, std::string(20, 't')}));
  const auto& request = transport_.requests().at(0);
  EXPECT_EQ(request.method, "HEAD");
  EXPECT_EQ(HeaderOf(request, "x-amz-checksum-mode"), "ENABLED");
  EXPECT_EQ(HeaderOf(request, "if-match"), "\"e1\"");
  EXPECT_THAT(HeaderOf(request, "authorization"), HasSubstr("x-amz-checksum-mode"));
}

TEST_F(S3ChecksumsTest, TakesAnEtagForAnMd5OnlyWhereItIsOne) {
  const std::string md5 = "\"00112233445566778899aabbccddeeff\"";
  transport_.Then(Head({}, md5));
  const auto sums = Ask(9, md5);
  ASSERT_TRUE(sums);
  ASSERT_EQ(sums->size(), 1u);
  EXPECT_EQ(sums->front().kind, ChecksumKind::kMd5);
  EXPECT_EQ(sums->front().value.substr(0, 3), std::string("\0\x11\x22", 3));
  transport_.Then(Head({{"x-amz-server-side-encryption", "aws:kms"}}, md5));
  EXPECT_THAT(*Ask(9, md5), IsEmpty());
  transport_.Then(Head({{"x-amz-server-side-encryption-customer-algorithm", "AES256"}}, md5));
  EXPECT_THAT(*Ask(9, md5), IsEmpty());
  transport_.Then(Head({{"x-amz-server-side-encryption", "AES256"}}, md5));
  EXPECT_EQ(Ask(9, md5)->size(), 1u);
  for (const char* etag : {"\"00112233445566778899aabbccddeeff-2\"",
                           "\"0011223344556677g899aabbccddeeff\"", "\"e1\""}) {
    transport_.Then(Head({}, etag));
    EXPECT_THAT(*Ask(9, etag), IsEmpty()) << etag;
  }
}

TEST_F(S3ChecksumsTest, AsksForPartsWhereTheChecksumIsOfParts) {
  transport_.Then(Head({{"x-amz-checksum-crc32", Base64Encode("abcd") + "-2"},
                        {"x-amz-checksum-type", "COMPOSITE"}}));
  transport_.Then(
      Attributes(Part(5, "ChecksumCRC32", "1111"),
                 "<NextPartNumberMarker>1</NextPartNumberMarker><IsTruncated>true</IsTruncated>"));
  transport_.Then(Attributes(Part(4, "ChecksumCRC32", "2222"),
                             "<NextPartNumberMarker>2</NextPartNumberMarker>"
                             "<IsTruncated>false</IsTruncated>"));
  const auto sums = Ask(9);
  ASSERT_TRUE(sums) << sums.error().what;
  EXPECT_THAT(*sums, ElementsAre(PublishedChecksum{ChecksumKind::kCrc32, {0, 5}, "1111"},
                                 PublishedChecksum{ChecksumKind::kCrc32, {5, 9}, "2222"}));
  EXPECT_THAT(transport_.requests()[1].url, HasSubstr("?attributes="));
  EXPECT_EQ(HeaderOf(transport_.requests()[2], "x-amz-part-number-marker"), "1");
}

TEST_F(S3ChecksumsTest, AnUnmarkedOneOfAMultipartUploadIsNoneOfTheWhole) {
  const std::string etag = "\"00112233445566778899aabbccddeeff-2\"";
  transport_.Then(Head({{"x-amz-checksum-crc32", Base64Encode("abcd")}}, etag))
      .Then(S3Failure(501, "NotImplemented"));
  EXPECT_THAT(*Ask(9, etag), IsEmpty());
  transport_.Then(Head({{"x-amz-checksum-crc64nvme", Base64Encode("12345678")}}, etag));
  EXPECT_EQ(Ask(9, etag)->size(), 1u);
  transport_.Then(
      Head({{"x-amz-checksum-crc32", Base64Encode("abcd")}, {"x-amz-checksum-type", "FULL_OBJECT"}},
           etag));
  EXPECT_EQ(Ask(9, etag)->size(), 1u);
}

TEST_F(S3ChecksumsTest, NothingIsPublishedWherePartsCannotBeHad) {
  const auto composite = Head({{"x-amz-checksum-sha256", Base64Encode("abc") + "-2"}});
  for (FakeReply reply :
       {S3Failure(403, "AccessDenied"), S3Failure(501, "NotImplemented"), S3Failure(404, ""),
        Attributes(Part(5, "ChecksumSHA256", std::string(32, 'x'))),   // Not all of them.
        Attributes(Part(10, "ChecksumSHA256", std::string(32, 'x'))),  // Too much.
        Attributes(Part(9, "ChecksumSHA256", "short")),                // No such checksum.
        Attributes("<Part><Size>-1</Size></Part>"), FakeReply{.body = "<nonsense"},
        Attributes(Part(4, "ChecksumSHA256", std::string(32, 'x')) +
                   Part(5, "ChecksumCRC32", "1234"))}) {  // Of two kinds.
    transport_.Then(composite).Then(reply);
    const auto sums = Ask(9);
    ASSERT_TRUE(sums) << reply.body << sums.error().what;
    EXPECT_THAT(*sums, IsEmpty()) << reply.body;
  }
}

TEST_F(S3ChecksumsTest, TriesAgainWhatMayPass) {
  transport_.Then({.status = 503}).Then(Head({{"x-amz-checksum-crc32", Base64Encode("abcd")}}));
  EXPECT_EQ(Ask(9)->size(), 1u);
}

TEST_F(S3ChecksumsTest, SaysThatTheObjectChanged) {
  for (FakeReply reply : {FakeReply{.status = 412}, FakeReply{.status = 404}, Head({}, "\"e2\""),
                          Head({{"content-length", "8"}})}) {
    transport_.Then(reply);
    const auto sums = Ask(9);
    ASSERT_FALSE(sums);
    EXPECT_EQ(sums.error().code, Errc::kChanged) << sums.error().what;
  }
  transport_.Then({.status = 403});
  EXPECT_EQ(Ask(9).error().code, Errc::kDenied);
}

}  // namespace
}  // namespace modelfs::test
