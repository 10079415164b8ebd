#include <gtest/gtest.h>

#include "fs/spec.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;

MountSpec FullMount() {
  MountSpec spec;
  spec.mountpoint = "/mnt/m";
  spec.allow_other = true;
  spec.uid = 7;
  spec.gid = 4294967295u;
  spec.umask = 0022;
  spec.read_timeout = std::chrono::milliseconds(1234);
  spec.listing_ttl = std::chrono::milliseconds(0);
  SourceSpec source;
  source.name = "models";
  source.uri = "s3://bucket/prefix";
  source.ca_bundle = "/etc/ca.pem";
  source.s3 = {.endpoint = "https://minio:9000",
               .region = "eu-west-1",
               .access_key_id = "id",
               .secret_access_key = "secret",
               .session_token = "token",
               .credential_origin = "environment",
               .anonymous = true,
               .addressing = S3Settings::Addressing::kVirtual};
  spec.sources = {source, SourceSpec{.name = "d", .uri = "dir:/d", .s3 = {}, .ca_bundle = ""}};
  return spec;
}

TEST(MountSpecTest, ComesBackFromJsonAsItWas) {
  const MountSpec spec = FullMount();
  const auto back = MountSpecFromJson(json::parse(ToJson(spec).dump()));
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(ToJson(*back), ToJson(spec));
  EXPECT_EQ(back->gid, 4294967295u);
  EXPECT_EQ(back->sources[0].s3.addressing, S3Settings::Addressing::kVirtual);
  EXPECT_EQ(back->read_timeout, std::chrono::milliseconds(1234));
}

TEST(MountSpecTest, NamesTheFieldThatIsMissingOrWrong) {
  const json good = ToJson(FullMount());
  const struct {
    const char* pointer;
    json value;
    const char* named;
  } cases[] = {
      {"/mountpoint", 5, "mount.mountpoint"},
      {"/sources", "x", "mount.sources"},
      {"/sources/1", 3, "mount.sources[1]"},
      {"/sources/0/uri", nullptr, "mount.sources[0].uri"},
      {"/sources/0/s3/addressing", "sideways", "mount.sources[0].s3.addressing"},
      {"/sources/0/s3/anonymous", "yes", "mount.sources[0].s3.anonymous"},
      {"/uid", -1, "mount.uid"},
      {"/uid", 4294967296, "mount.uid"},
      {"/umask", 1.5, "mount.umask"},
      {"/read_timeout_ms", -5, "mount.read_timeout_ms"},
      {"/allow_other", 1, "mount.allow_other"},
  };
  for (const auto& c : cases) {
    json bad = good;
    bad[json::json_pointer(c.pointer)] = c.value;
    const auto spec = MountSpecFromJson(bad);
    ASSERT_FALSE(spec) << c.pointer;
    EXPECT_EQ(spec.error().code, Errc::kInvalid);
    EXPECT_TRUE(spec.error().what.starts_with(c.named)) << spec.error().what;
  }
  json missing = good;
  missing.erase("mountpoint");
  EXPECT_EQ(MountSpecFromJson(missing).error().what, "mount.mountpoint is missing");
  EXPECT_FALSE(MountSpecFromJson(json::array()));
  EXPECT_FALSE(MountSpecFromJson(json()));
}

TEST(DaemonSpecTest, ComesBackFromJsonAsItWas) {
  DaemonSpec spec;
  spec.cache_directory = "/c";
  spec.index_directory = "/i";
  spec.shared_cache = "/s";
  spec.shared_cache_size = Amount{Amount::Unit::kPercent, 90};
  spec.shared_segment_bytes = 16u << 20;
  spec.chunk_size_bytes = 4u << 20;
  spec.memory_bytes = 1ull << 40;
  spec.io_backend = index::IoBackend::kThreads;
  spec.log_level = "debug";
  spec.control_socket = "/run/x.sock";
  const auto back = DaemonSpecFromJson(json::parse(ToJson(spec).dump()));
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(ToJson(*back), ToJson(spec));
  EXPECT_EQ(back->io_backend, index::IoBackend::kThreads);
}

TEST(DaemonSpecTest, KeepsDefaultsOfFieldsThatAnotherVersionDoesNotSend) {
  const auto spec = DaemonSpecFromJson({{"cache_directory", "/c"}, {"control_socket", "/s"}});
  ASSERT_TRUE(spec) << spec.error().what;
  EXPECT_EQ(spec->chunk_size_bytes, DaemonSpec().chunk_size_bytes);
  EXPECT_EQ(DaemonSpecFromJson({{"cache_directory", "/c"}}).error().what,
            "daemon.control_socket is missing");
}

}  // namespace
}  // namespace modelfs::fs
