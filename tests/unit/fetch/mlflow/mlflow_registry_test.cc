#include "fetch/mlflow/mlflow_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/unit/fetch/mlflow/mlflow_fixture.h"

namespace modelfs::fetch {
namespace {

using test::FakeReply;
using test::HeaderOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kSearch = "/api/2.0/mlflow/registered-models/search";
constexpr const char* kUri = "/api/2.0/mlflow/model-versions/get-download-uri";
constexpr const char* kList = "/api/2.0/mlflow-artifacts/artifacts?path=";

class MlflowRegistryTest : public test::MlflowFixture {};

TEST_F(MlflowRegistryTest, ListsModelsOverPagesWithAliasesStagesAndTheHighestVersion) {
  Make();
  On(kSearch, [](const HttpRequest& request) -> FakeReply {
    if (request.url.find("page_token") == std::string::npos) {
      return {.body = R"({"registered_models": [{"name": "b", "creation_timestamp": 5,
        "latest_versions": [{"version": "9", "current_stage": "Production"},
                            {"version": "10", "current_stage": "None"}],
        "aliases": [{"alias": "champion", "version": "9"}]}], "next_page_token": "x=/+"})"};
    }
    EXPECT_THAT(request.url, HasSubstr("page_token=x%3D%2F%2B"));
    return {.body = R"({"registered_models": [{"name": "a"}, {"name": "b", "latest_versions": [],
      "aliases": [{"alias": "champion", "version": "10"}]}]})"};
  });
  const auto models = Models();
  ASSERT_TRUE(models) << models.error().what;
  ASSERT_EQ(models->size(), 2u);
  EXPECT_EQ((*models)[0].name, "a");
  EXPECT_EQ((*models)[0].latest, 0u);
  EXPECT_EQ((*models)[1].aliases.at("champion"), 10u) << "the later answer counts";
  EXPECT_EQ(transport_.requests().size(), 2u);
}

TEST_F(MlflowRegistryTest, AStageIsALinkUnlessAnAliasHasItsName) {
  Make();
  OnJson(kSearch, R"({"registered_models": [{"name": "m", "latest_versions": [
    {"version": "3", "current_stage": "Production"}, {"version": "4", "current_stage": "Staging"}],
    "aliases": [{"alias": "Staging", "version": "1"}]}]})");
  const auto models = Models();
  ASSERT_TRUE(models);
  EXPECT_EQ((*models)[0].aliases.at("Production"), 3u);
  EXPECT_EQ((*models)[0].aliases.at("Staging"), 1u);
  EXPECT_EQ((*models)[0].latest, 4u);
}

TEST_F(MlflowRegistryTest, SurvivesFieldsOfTheWrongType) {
  Make();
  OnJson(kSearch, R"({"registered_models": [7, {"name": 3}, {"name": ""}, {"name": "m",
    "creation_timestamp": "x", "latest_versions": {"a": 1}, "aliases": [1, {"alias": "a"},
    {"alias": "b", "version": "-2"}, {"alias": "c", "version": "99999999999999999999"},
    {"alias": "d", "version": "07"}, {"alias": "e", "version": 5}]}], "next_page_token": 9})");
  const auto models = Models();
  ASSERT_TRUE(models) << models.error().what;
  ASSERT_EQ(models->size(), 1u);
  EXPECT_TRUE((*models)[0].aliases.empty());
}

TEST_F(MlflowRegistryTest, ALoginFromAFileMayChange) {
  const test::TempDir dir;
  MlflowSettings settings;
  settings.token_file = dir.Write("token", "one").string();
  settings.username = "not used";
  settings.password = "not used";
  Make(settings);
  OnJson(kSearch, R"({"registered_models": []})");
  ASSERT_TRUE(Models());
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "authorization"), "Bearer one");
  dir.Write("token", "another");
  ASSERT_TRUE(Models());
  EXPECT_EQ(HeaderOf(transport_.requests()[1], "authorization"), "Bearer another");
}

TEST_F(MlflowRegistryTest, PagesWithoutEndAreRefused) {
  Make();
  OnJson(kSearch, R"({"next_page_token": "again"})");
  const auto models = Models();
  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().code, Errc::kCorrupt);
}

TEST_F(MlflowRegistryTest, SaysWhatAnAnswerThatIsNoJsonMeans) {
  Make();
  for (const std::string body : {"<html>login</html>", "", "[]", "null", "{\"a\":"}) {
    OnJson(kSearch, body);
    const auto models = Models();
    ASSERT_FALSE(models) << body;
    EXPECT_EQ(models.error().code, Errc::kCorrupt) << body;
    EXPECT_THAT(models.error().what, HasSubstr("an MLflow server?"));
  }
}

TEST_F(MlflowRegistryTest, EveryErrorBodyIsSurvivedAndNamed) {
  Make({.tracking_uri = kServer, .username = "ann", .password = "pw-canary"});
  const struct {
    int status;
    const char* body;
    Errc code;
    const char* says;
  } cases[] = {
      {401, "You are not authenticated.", Errc::kDenied, "MLFLOW_TRACKING_USERNAME"},
      {403, R"({"error_code": "PERMISSION_DENIED", "message": "no"})", Errc::kDenied, "no"},
      {404, "<!doctype html>", Errc::kCorrupt, "no model registry"},
      {302, "", Errc::kCorrupt, "redirect"},
      {400, R"({"error_code": "INVALID_PARAMETER_VALUE", "message": "bad"})", Errc::kCorrupt,
       "bad"},
      {503, R"({"detail": "busy"})", Errc::kTransient, "busy"},
      {500, "{\"error_code\": 3", Errc::kTransient, "HTTP 500"},
  };
  for (const auto& c : cases) {
    On(kSearch, FakeReply{.status = c.status, .body = c.body});
    const auto models = Models();
    ASSERT_FALSE(models) << c.status;
    EXPECT_EQ(models.error().code, c.code) << c.status << models.error().what;
    EXPECT_THAT(models.error().what, HasSubstr(c.says));
    EXPECT_THAT(models.error().what, testing::Not(HasSubstr("pw-canary")));
  }
}

TEST_F(MlflowRegistryTest, AsksForVersionsByAQuotedName) {
  Make();
  std::string asked;
  On("/api/2.0/mlflow/model-versions/search", [&](const HttpRequest& request) -> FakeReply {
    asked = request.url;
    return {.body = R"({"model_versions": [
      {"name": "it's", "version": "10", "creation_timestamp": 7, "status": "READY"},
      {"name": "it's", "version": "2", "status": "PENDING_REGISTRATION"},
      {"name": "it's", "version": "3", "status": "FAILED_REGISTRATION"},
      {"name": "other", "version": "4"}]})"};
  });
  const auto versions = Versions("it's");
  ASSERT_TRUE(versions) << versions.error().what;
  EXPECT_THAT(asked, HasSubstr("filter=name%3D%22it%27s%22"));
  EXPECT_THAT(*versions, ElementsAre(ModelVersion{.number = 2, .created_ms = 0, .ready = false},
                                     ModelVersion{.number = 10, .created_ms = 7, .ready = true}));
  EXPECT_EQ(Versions("'\"").error().code, Errc::kInvalid);
}

TEST_F(MlflowRegistryTest, WalksAProxiedVersionAndLeavesHostilePathsOut) {
  Make();
  OnJson(kUri, R"({"artifact_uri": "mlflow-artifacts:/1//m/"})");
  OnJson(std::string(kList) + "1%2Fm", R"({"files": [
    {"path": "b.bin", "is_dir": false, "file_size": 5}, {"path": "empty", "is_dir": false},
    {"path": "code", "is_dir": true}, {"path": "../up", "is_dir": false, "file_size": 1},
    {"path": "..", "is_dir": true}, {"path": "/etc/passwd", "file_size": 1},
    {"path": "x\u0000y", "file_size": 1}, {"path": 7}, {"path": "neg", "file_size": -1}]})");
  OnJson(std::string(kList) + "1%2Fm%2Fcode", R"({"files": [{"path": "a.py", "file_size": "3"}]})");
  const auto manifest = Manifest();
  ASSERT_TRUE(manifest) << manifest.error().what;
  std::vector<std::pair<std::string, std::uint64_t>> files;
  for (const auto& file : manifest->files) files.emplace_back(file.path, file.size_bytes);
  EXPECT_THAT(files, ElementsAre(testing::Pair("b.bin", 5), testing::Pair("code/a.py", 3),
                                 testing::Pair("empty", 0), testing::Pair("neg", 0)));
}

TEST_F(MlflowRegistryTest, ResolvesThroughModelsAndRuns) {
  Make();
  OnJson(std::string(kUri) + "?name=iris", R"({"artifact_uri": "models:/base@prod"})");
  OnJson("/api/2.0/mlflow/registered-models/alias", R"({"model_version": {"version": "4"}})");
  OnJson(std::string(kUri) + "?name=base&version=4", R"({"artifact_uri": "runs:/r1/out/model"})");
  OnJson("/api/2.0/mlflow/runs/get?run_id=r1",
         R"({"run": {"info": {"artifact_uri": "mlflow-artifacts:/7/r1/artifacts"}}})");
  OnJson(std::string(kList) + "7%2Fr1%2Fartifacts%2Fout%2Fmodel",
         R"({"files": [{"path": "MLmodel", "file_size": 5}]})");
  const auto manifest = Manifest();
  ASSERT_TRUE(manifest) << manifest.error().what;
  EXPECT_EQ(manifest->uri, "mlflow-artifacts:/7/r1/artifacts/out/model");
}

TEST_F(MlflowRegistryTest, ACircleOfReferencesEnds) {
  Make();
  OnJson(kUri, R"({"artifact_uri": "models:/iris/1"})");
  const auto manifest = Manifest();
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().code, Errc::kInvalid);
  EXPECT_THAT(manifest.error().what, HasSubstr("iris/1"));
  EXPECT_LE(transport_.requests().size(), 7u);
}

TEST_F(MlflowRegistryTest, AVersionWithoutFilesIsAnErrorThatNamesIt) {
  Make();
  OnJson(kUri, R"({"artifact_uri": "mlflow-artifacts:/1/m"})");
  OnJson(kList, "{}");
  const auto manifest = Manifest();
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().code, Errc::kCorrupt);
  EXPECT_THAT(manifest.error().what, HasSubstr("iris/1"));
}

TEST_F(MlflowRegistryTest, TheLoginGoesToItsServerAlone) {
  Make({.tracking_uri = kServer, .username = "ann", .password = "secret", .workspace = "team"});
  OnJson(kUri, R"({"artifact_uri": "mlflow-artifacts://evil:5000/1/m"})");
  OnJson("http://evil:5000/api/2.0/mlflow-artifacts/artifacts",
         R"({"files": [{"path": "a", "file_size": 5}]})");
  ASSERT_TRUE(Manifest());
  ASSERT_EQ(transport_.requests().size(), 2u);
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "authorization"), "Basic YW5uOnNlY3JldA==");
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "x-mlflow-workspace"), "team");
  EXPECT_THAT(transport_.requests()[1].url, testing::StartsWith("http://evil:5000/"));
  EXPECT_EQ(HeaderOf(transport_.requests()[1], "authorization"), "");
  EXPECT_EQ(HeaderOf(transport_.requests()[1], "x-mlflow-workspace"), "");
}

TEST_F(MlflowRegistryTest, ATokenIsUsedWithoutAPassword) {
  Make({.tracking_uri = kServer, .username = "ann", .token = "tok"});
  OnJson(kSearch, "{}");
  ASSERT_TRUE(Models());
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "authorization"), "Bearer tok");
}

TEST_F(MlflowRegistryTest, DomainsDifferByServerAndLogin) {
  const auto domain = [&](MlflowSettings settings) {
    Make(std::move(settings));
    return registry_->Domain();
  };
  const std::string anonymous = domain({.tracking_uri = kServer});
  const std::string ann = domain({.tracking_uri = kServer, .username = "ann", .password = "1"});
  EXPECT_NE(anonymous, ann);
  EXPECT_EQ(ann, domain({.tracking_uri = kServer, .username = "ann", .password = "2"}));
  EXPECT_NE(anonymous, domain({.tracking_uri = "http://other:5000"}));
}

}  // namespace
}  // namespace modelfs::fetch
