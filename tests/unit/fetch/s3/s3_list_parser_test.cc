#include "fetch/s3/s3_list_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace modelfs::fetch {
namespace {

using std::chrono::seconds;
using std::chrono::system_clock;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Wrap(std::string_view inside) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
         "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" +
         std::string(inside) + "</ListBucketResult>";
}
std::string Object(std::string_view key) {
  return "<Contents><Key>" + std::string(key) + "</Key><Size>1</Size><ETag>\"e\"</ETag></Contents>";
}
std::vector<std::string> Keys(const Result<S3ListPage>& page) {
  std::vector<std::string> keys;
  if (!page) return {"error: " + page.error().what};
  for (const auto& object : page->objects) keys.push_back(object.key);
  return keys;
}

TEST(S3ListParser, ReadsAPageOfAws) {
  const auto page = ParseS3ListPage(
      Wrap("<Name>b</Name><Prefix>p/</Prefix><NextContinuationToken>1u/+==</"
           "NextContinuationToken><KeyCount>2</KeyCount>"
           "<MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</"
           "EncodingType><IsTruncated>true</IsTruncated>"
           "<Contents><Key>p/a+b%2Bc</Key><LastModified>2013-05-24T00:00:00.000Z</LastModified>"
           "<ETag>&quot;0f343b0931126a20f133d67c2b018a3b-2&quot;</ETag><Size>17179869184</Size>"
           "<StorageClass>STANDARD</StorageClass></Contents>"
           "<CommonPrefixes><Prefix>p/d%C3%A9/</Prefix></CommonPrefixes>"));
  ASSERT_TRUE(page) << page.error().what;
  ASSERT_THAT(Keys(page), ElementsAre("p/a b+c"));
  EXPECT_EQ(page->objects[0].size_bytes, 17179869184u);
  EXPECT_EQ(page->objects[0].etag, "\"0f343b0931126a20f133d67c2b018a3b-2\"");
  EXPECT_EQ(page->objects[0].modified, system_clock::time_point(seconds(1369353600)));
  EXPECT_THAT(page->prefixes, ElementsAre("p/d\xC3\xA9/"));
  EXPECT_TRUE(page->truncated);
  EXPECT_EQ(page->next_token, "1u/+==");
}

TEST(S3ListParser, TakesAnyNamespaceAndPrefixedNames) {
  const auto page = ParseS3ListPage(
      "<s3:ListBucketResult "
      "xmlns:s3=\"http://doc.s3.amazonaws.com/2006-03-01/\"><s3:Contents><s3:Key>k</s3:Key>"
      "<s3:Size>3</s3:Size></s3:Contents><s3:IsTruncated>false</s3:IsTruncated></"
      "s3:ListBucketResult>");
  EXPECT_THAT(Keys(page), ElementsAre("k"));
}

TEST(S3ListParser, DecodesOnlyWhatTheServerSaysItEncoded) {
  EXPECT_THAT(Keys(ParseS3ListPage(Wrap(Object("a%20+b")))), ElementsAre("a%20+b"));
  EXPECT_THAT(Keys(ParseS3ListPage(Wrap("<EncodingType></EncodingType>" + Object("a%20+b")))),
              ElementsAre("a%20+b"));
}

TEST(S3ListParser, TakesPlusAsItselfWhereSpacesArePercentEncoded) {
  EXPECT_THAT(Keys(ParseS3ListPage(
                  Wrap("<EncodingType>url</EncodingType>" + Object("a+b") + Object("c%20d")))),
              ElementsAre("a+b", "c d"));
  EXPECT_THAT(Keys(ParseS3ListPage(
                  Wrap("<EncodingType>url</EncodingType>" + Object("a+b") + Object("c%2Bd")))),
              ElementsAre("a b", "c+d"));
}

TEST(S3ListParser, DecodesEntitiesAndCdata) {
  EXPECT_THAT(Keys(ParseS3ListPage(Wrap(Object("&lt;a&amp;amp;b&gt;&#34;&#x2603;") +
                                        Object("<![CDATA[<x>&amp;]]>") + Object(" ") +
                                        Object("two <![CDATA[parts]]>")))),
              ElementsAre("<a&amp;b>\"\xE2\x98\x83", "<x>&amp;", " ", "two parts"));
}

TEST(S3ListParser, HoldsKeysThatNoFileNameCouldBe) {
  EXPECT_THAT(Keys(ParseS3ListPage(Wrap("<EncodingType>url</EncodingType>" + Object("%00") +
                                        Object("..%2F..%0A") + Object("%FF%FE")))),
              ElementsAre(std::string(1, '\0'), "../..\n", "\xFF\xFE"));
}

TEST(S3ListParser, AnEmptyPageIsAPage) {
  const auto page = ParseS3ListPage(Wrap("<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>"));
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->objects.empty());
  EXPECT_FALSE(page->truncated);
}

TEST(S3ListParser, RefusesWhatItCannotTrust) {
  const std::string good = Wrap(Object("key"));
  const std::vector<std::string> bad{
      "",
      "<html><body>It works!</body></html>",
      "{\"not\": \"xml\"}",
      good.substr(0, good.size() - 10),
      Wrap("<Contents><Size>1</Size></Contents>"),
      Wrap("<Contents><Key></Key><Size>1</Size></Contents>"),
      Wrap("<Contents><Key>k</Key></Contents>"),
      Wrap("<Contents><Key>k</Key><Size>-1</Size></Contents>"),
      Wrap("<Contents><Key>k</Key><Size>1e3</Size></Contents>"),
      Wrap("<Contents><Key>k</Key><Size>18446744073709551616</Size></Contents>"),
      Wrap("<IsTruncated>true</IsTruncated>"),
      "<Error><Code>InternalError</Code></Error>",
      "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><ListBucketResult><Contents><Key>&a;",
  };
  for (const std::string& xml : bad) {
    const auto page = ParseS3ListPage(xml);
    ASSERT_FALSE(page) << xml;
    EXPECT_EQ(page.error().code, Errc::kCorrupt);
    EXPECT_THAT(page.error().what, HasSubstr("ListObjectsV2"));
  }
}

TEST(S3ListParser, SurvivesDeepNesting) {
  std::string deep;
  for (int i = 0; i < 300'000; ++i) deep += "<a>";
  EXPECT_FALSE(ParseS3ListPage(deep));
  std::string closed = deep;
  for (int i = 0; i < 300'000; ++i) closed += "</a>";
  EXPECT_TRUE(ParseS3ListPage(Wrap(closed)));
}

TEST(S3ListParser, SurvivesEveryTruncation) {
  const std::string whole = Wrap("<EncodingType>url</EncodingType>" + Object("a%20b") +
                                 "<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>");
  for (std::size_t size = 0; size + 1 < whole.size(); ++size)
    EXPECT_FALSE(ParseS3ListPage(whole.substr(0, size))) << size;
}

}  // namespace
}  // namespace modelfs::fetch
