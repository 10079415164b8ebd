#include "fetch/s3/aws_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace modelfs::fetch {
namespace {

using testing::HasSubstr;

AwsProfile Parse(std::string_view credentials, std::string_view config, std::string_view name) {
  Result<AwsProfile> profile = ParseAwsProfile(credentials, config, name);
  EXPECT_TRUE(profile) << profile.error().what;
  return profile.value_or(AwsProfile{});
}

TEST(AwsProfile, MergesBothFilesAndCredentialsWin) {
  const AwsProfile p = Parse(
      "# comment\n[default]\naws_access_key_id = AKID\naws_secret_access_key=se+cr/et#x=\n"
      "[other]\naws_access_key_id=NO\n",
      "[default]\nregion = eu-west-1   ; mine\naws_access_key_id = FROMCONFIG\nca_bundle=/ca.pem\n",
      "default");
  EXPECT_TRUE(p.found);
  EXPECT_EQ(p.access_key_id, "AKID");
  EXPECT_EQ(p.secret_access_key, "se+cr/et#x=");
  EXPECT_EQ(p.region, "eu-west-1");
  EXPECT_EQ(p.ca_bundle, "/ca.pem");
  EXPECT_EQ(p.session_token, "");
}

TEST(AwsProfile, TakesIdSecretAndTokenFromOneFile) {
  const AwsProfile shared =
      Parse("[default]\naws_access_key_id=A\naws_secret_access_key=S\n",
            "[default]\naws_access_key_id=B\naws_session_token=T\nregion=r\n", "default");
  EXPECT_EQ(shared.access_key_id, "A");
  EXPECT_EQ(shared.session_token, "");
  EXPECT_EQ(shared.region, "r");
  const AwsProfile config =
      Parse("[default]\naws_session_token=OTHER\nregion=q\n",
            "[default]\naws_access_key_id=B\naws_secret_access_key=S\n", "default");
  EXPECT_EQ(config.access_key_id, "B");
  EXPECT_EQ(config.session_token, "");
  EXPECT_EQ(config.region, "q");
  EXPECT_EQ(
      Parse("[default]\naws_access_key_id=A\n", "[default]\naws_secret_access_key=S\n", "default")
          .secret_access_key,
      "");
}

TEST(AwsProfile, ConfigNamesProfilesWithAWordBefore) {
  constexpr std::string_view kConfig =
      "[dev]\nregion=wrong\n[profile dev]\nregion=right\n[profile \"two words\"]\nregion=quoted\n";
  EXPECT_EQ(Parse("", kConfig, "dev").region, "right");
  EXPECT_EQ(Parse("", kConfig, "two words").region, "quoted");
  EXPECT_FALSE(Parse("", kConfig, "absent").found);
  EXPECT_FALSE(Parse("[profile dev]\nregion=x\n", "", "dev").found);
}

TEST(AwsProfile, ProfileDefaultBeatsDefault) {
  EXPECT_EQ(Parse("", "[profile default]\nregion=a\n[default]\nregion=b\n", "default").region, "a");
}

TEST(AwsProfile, ReadsNestedBlocksAndServices) {
  const AwsProfile p =
      Parse("",
            "[profile dev]\ns3 =\n  addressing_style = Path\n  max_concurrent_requests=10\n"
            "region = r1\nendpoint_url = http://all\nservices = local\n"
            "[services local]\nsts =\n  endpoint_url = http://sts\ns3 =\n  endpoint_url = "
            "http://s3only\n",
            "dev");
  EXPECT_EQ(p.s3_addressing_style, "path");
  EXPECT_EQ(p.region, "r1");
  EXPECT_EQ(p.endpoint_url, "http://all");
  EXPECT_EQ(p.s3_endpoint_url, "http://s3only");
  EXPECT_EQ(p.sts_endpoint_url, "http://sts");
  EXPECT_EQ(p.values.at("s3.max_concurrent_requests"), "10");
}

TEST(AwsProfile, TakesCarriageReturnsByteOrderMarkAndUpperCaseKeys) {
  const AwsProfile p =
      Parse("\xEF\xBB\xBF[default]\r\nAWS_Access_Key_ID = A\r\n\r\naws_secret_access_key = S", "",
            "default");
  EXPECT_EQ(p.access_key_id, "A");
  EXPECT_EQ(p.secret_access_key, "S");
}

TEST(AwsProfile, NamesFileAndLineOfWhatItCannotRead) {
  const auto error = [](std::string_view credentials, std::string_view config) {
    const Result<AwsProfile> p = ParseAwsProfile(credentials, config, "default");
    EXPECT_FALSE(p);
    return p ? std::string() : p.error().what;
  };
  EXPECT_THAT(error("[default\n", ""), HasSubstr("credentials file, line 1"));
  EXPECT_THAT(error("", "[default]\nregion\n"), HasSubstr("config file, line 2"));
  EXPECT_THAT(error("region=x\n", ""), HasSubstr("before the first [section]"));
  EXPECT_THAT(error("[d]\n= x\n", ""), HasSubstr("line 2"));
}

TEST(AwsProfile, NeverEchoesALineItCannotRead) {
  const Result<AwsProfile> p = ParseAwsProfile("[default]\nwJalrXUtnFEMI\n", "", "default");
  ASSERT_FALSE(p);
  EXPECT_EQ(p.error().what.find("wJalr"), std::string::npos);
}

TEST(AwsProfile, EmptyFilesAreNoError) { EXPECT_FALSE(Parse("", "", "default").found); }

}  // namespace
}  // namespace modelfs::fetch
