// What an MLflow server answers, and the URIs that stand in it.
#include <nlohmann/json.hpp>

#include "fetch/base/relative_path.h"
#include "fetch/mlflow/artifact_uri.h"
#include "fetch/mlflow/mlflow_json.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = test::Text(data, size);
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_object()) {
    for (const auto& line : fetch::ParseArtifactLines(json)) {
      test::Require(!line.path.empty(), "a line has a path");
      if (!IsSafeRelativePath(line.path)) continue;
      test::Require(line.path.front() != '/' && line.path.size() <= 4096, "a safe path is below");
      test::Require(line.path.find('\0') == std::string::npos, "a safe path has no NUL");
    }
    for (const auto& model : fetch::JsonArray(json, "registered_models")) {
      test::Use(fetch::ParseRegisteredModel(model));
    }
    for (const auto& version : fetch::JsonArray(json, "model_versions")) {
      const auto parsed = fetch::ParseModelVersion(version);
      if (parsed) test::Require(parsed->number > 0, "a version has a number");
    }
    test::Use(fetch::ParseRegisteredModel(fetch::JsonObject(json, "registered_model")));
  }
  test::Use(fetch::ModelsUri::Parse(text));
  test::Use(fetch::RunsUri::Parse(text));
  test::Use(fetch::ProxiedUri::Parse(text));
  test::Use(fetch::UrlOrigin(text));
  test::Use(fetch::CanBeProxied(text));
  test::Use(fetch::ParseVersionNumber(text));
  return 0;
}
