#include "fs/csi/volume_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace modelfs::fs {
namespace {

using ::testing::HasSubstr;

TEST(VolumeSpec, AttributesAreSettingsByTheirNames) {
  const auto spec = ParseVolume({{"source", "mlflow:http://mlflow:5000"},
                                 {"model", "team/iris"},
                                 {"version", "@champion"},
                                 {"cache_size", "10GiB"},
                                 {"csi.storage.k8s.io/ephemeral", "true"},
                                 {"csi.storage.k8s.io/serviceAccount.tokens", "{}"}});
  ASSERT_TRUE(spec) << spec.error().what;
  EXPECT_EQ(spec->PathInMount(), "team%2Firis/@champion");
  ASSERT_EQ(spec->flags.size(), 1u);
  EXPECT_EQ(spec->flags[0], (std::pair<std::string, std::string>("cache_size", "10GiB")));
}

TEST(VolumeSpec, WhatAVolumeShows) {
  EXPECT_EQ(ParseVolume({{"source", "s3://b/p"}})->PathInMount(), "volume");
  EXPECT_EQ(ParseVolume({{"source", "mlflow:http://m"}})->PathInMount(), "");
  EXPECT_EQ(ParseVolume({{"source", "mlflow:http://m"}, {"model", "a"}})->PathInMount(), "a");
  EXPECT_EQ(
      ParseVolume({{"source", "mlflow:http://m"}, {"model", "a"}, {"version", "3"}})->PathInMount(),
      "a/3");
}

struct Wrong {
  const char* what;
  StringMap attributes;
  const char* named;
};

class WrongAttributes : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongAttributes, AreNamed) {
  const auto spec = ParseVolume(GetParam().attributes);
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().code, CsiCode::kInvalidArgument);
  EXPECT_THAT(spec.error().what, HasSubstr(std::string("'") + GetParam().named + "'"));
}

const std::string kMlflow = "mlflow:http://m";

INSTANTIATE_TEST_SUITE_P(
    All, WrongAttributes,
    ::testing::Values(
        Wrong{"NoSource", {}, "source"}, Wrong{"NoUri", {{"source", "models"}}, "source"},
        Wrong{"FolderOfTheNode", {{"source", "dir:/etc"}}, "source"},
        Wrong{"Unknown", {{"source", "s3://b"}, {"cacheSize", "1GiB"}}, "cacheSize"},
        Wrong{"OfTheNode", {{"source", "s3://b"}, {"cache", "/etc"}}, "cache"},
        Wrong{"ModelOfABucket", {{"source", "s3://b"}, {"model", "a"}}, "model"},
        Wrong{"VersionOfNothing", {{"source", kMlflow}, {"version", "1"}}, "version"},
        Wrong{"NoVersion", {{"source", kMlflow}, {"model", "a"}, {"version", "../1"}}, "version"},
        Wrong{"NoModel", {{"source", kMlflow}, {"model", std::string(300, 'a')}}, "model"},
        Wrong{"TwoLines", {{"source", "s3://b"}, {"region", "a\nb"}}, "region"},
        Wrong{"NeitherTrueNorFalse", {{"source", "s3://b"}, {"anonymous", "yes"}}, "anonymous"}),
    [](const auto& wrong) { return wrong.param.what; });

TEST(VolumeSpec, IsReadBackAsItWasWritten) {
  const auto spec = ParseVolume({{"source", "s3://b/p"},
                                 {"role_arn", "arn:aws:iam::1:role/r"},
                                 {"endpoint", "http://minio:9000"},
                                 {"anonymous", "true"}});
  ASSERT_TRUE(spec);
  const auto again = VolumeSpecFromJson(ToJson(*spec));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *spec);
  EXPECT_FALSE(VolumeSpecFromJson(nlohmann::json{{"source", 3}}));
  EXPECT_FALSE(VolumeSpecFromJson(nlohmann::json("text")));
}

TEST(VolumeSpec, DifferencesAreNamed) {
  const auto spec = *ParseVolume({{"source", "s3://b"}, {"region", "x"}});
  EXPECT_EQ(FirstDifference(spec, spec), "");
  EXPECT_EQ(FirstDifference(spec, *ParseVolume({{"source", "s3://c"}, {"region", "x"}})), "source");
  EXPECT_EQ(FirstDifference(spec, *ParseVolume({{"source", "s3://b"}, {"region", "y"}})), "region");
  EXPECT_EQ(FirstDifference(spec, *ParseVolume({{"source", "s3://b"}})), "region");
  EXPECT_EQ(FirstDifference(*ParseVolume({{"source", "s3://b"}}), spec), "region");
}

}  // namespace
}  // namespace modelfs::fs
