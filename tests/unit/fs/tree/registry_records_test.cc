#include "fs/tree/registry_records.h"

#include <gtest/gtest.h>

namespace modelfs::fs {
namespace {

TEST(RegistryRecordsTest, GiveBackWhatWasPutIn) {
  const std::string odd("\xff%41\n\"", 6);
  RegisteredModels models;
  models[odd] = {.name = odd, .created_ms = 7, .latest = 12, .aliases = {{odd, 3}, {"a", 12}}};
  EXPECT_EQ(DecodeModels(EncodeModels(models)), models);
  const ModelVersions versions{{.number = 1, .created_ms = 5, .ready = true},
                               {.number = 10, .created_ms = 6, .ready = false}};
  EXPECT_EQ(DecodeVersions(EncodeVersions(versions)), versions);
  fetch::VersionManifest manifest{
      .model = odd,
      .version = versions[0],
      .uri = "s3://b/" + odd,
      .route = "direct",
      .files = {{.path = odd,
                 .size_bytes = 1ull << 40,
                 .modified = std::chrono::system_clock::time_point(std::chrono::milliseconds(1234)),
                 .tag = "\"e\""}}};
  const auto back = DecodeManifest(EncodeManifest(manifest));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->model, odd);
  EXPECT_EQ(back->uri, manifest.uri);
  ASSERT_EQ(back->files.size(), 1u);
  EXPECT_EQ(back->files[0].path, odd);
  EXPECT_EQ(back->files[0].size_bytes, 1ull << 40);
  EXPECT_EQ(back->files[0].modified, manifest.files[0].modified);
  EXPECT_EQ(back->files[0].tag, "\"e\"");
}

TEST(RegistryRecordsTest, DamagedRecordsAreNone) {
  for (const char* const text :
       {"", "{", "[]", "{\"format\": 2, \"models\": [], \"versions\": [], \"files\": []}",
        "{\"format\": 1}", "{\"format\": 1, \"models\": [1], \"versions\": [1], \"files\": [1]}",
        "{\"format\": 1, \"models\": {}, \"versions\": 3, \"files\": null}"}) {
    EXPECT_FALSE(DecodeModels(text)) << text;
    EXPECT_FALSE(DecodeVersions(text)) << text;
    EXPECT_FALSE(DecodeManifest(text)) << text;
  }
}

TEST(RegistryRecordsTest, KeysOfDifferentThingsDiffer) {
  const fetch::ModelVersion version{.number = 1, .created_ms = 2};
  EXPECT_NE(ModelsKey("d"), VersionsKey("d", ""));
  EXPECT_NE(ManifestKey("d", "a", version), ManifestKey("d", "a/1", version));
  EXPECT_NE(ManifestKey("d", "a", version), ManifestKey("d", "a", {.number = 1, .created_ms = 3}));
}

}  // namespace
}  // namespace modelfs::fs
