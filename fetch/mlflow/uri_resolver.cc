#include "fetch/mlflow/uri_resolver.h"

#include <fmt/format.h>

#include <algorithm>

#include "fetch/base/percent.h"
#include "fetch/mlflow/artifact_uri.h"
#include "fetch/mlflow/mlflow_json.h"

namespace modelfs::fetch {
namespace {

using nlohmann::json;

constexpr int kMaxSteps = 5;

class Resolver : public std::enable_shared_from_this<Resolver> {
 public:
  Resolver(MlflowServers servers, Done<std::string> done)
      : servers_(std::move(servers)), done_(std::move(done)) {}

  void Version(const std::string& model, const std::string& number) {
    Ask(*servers_.registry, "model-versions/get-download-uri",
        {{"name", model}, {"version", number}},
        [](Resolver& self, const json& answer) { self.Uri(JsonText(answer, "artifact_uri")); });
  }

 private:
  using Then = std::move_only_function<void(Resolver&, const json&)>;

  void Ask(MlflowClient& client, std::string_view path, const MlflowClient::Query& query,
           Then then) {
    client.Get(path, query,
               [self = shared_from_this(), then = std::move(then)](Result<json> answer) mutable {
                 if (!answer) return self->Finish(std::unexpected(std::move(answer.error())));
                 then(*self, *answer);
               });
  }

  void Finish(Result<std::string> result) { std::exchange(done_, nullptr)(std::move(result)); }

  void Uri(const std::string& uri) {
    if (uri.empty()) return Finish(Fail(Errc::kInvalid, "the server names no artifact URI"));
    const std::string scheme = UriScheme(uri);
    if (scheme != "models" && scheme != "runs") return Finish(JoinPath(uri, below_));
    if (++steps_ > kMaxSteps) {
      return Finish(Fail(Errc::kInvalid, fmt::format("artifact URI '{}': it refers on more than {} "
                                                     "times: a circle?",
                                                     Printable(uri), kMaxSteps)));
    }
    if (scheme == "runs") return Run(uri);
    auto parsed = ModelsUri::Parse(uri);
    if (!parsed) return Finish(std::unexpected(std::move(parsed.error())));
    below_ = JoinPath(parsed->path, below_);
    Model(*parsed);
  }

  void Run(const std::string& uri) {
    auto parsed = RunsUri::Parse(uri);
    if (!parsed) return Finish(std::unexpected(std::move(parsed.error())));
    below_ = JoinPath(parsed->path, below_);
    Ask(*servers_.tracking, "runs/get", {{"run_id", parsed->run_id}},
        [](Resolver& self, const json& answer) {
          self.Uri(JsonText(JsonObject(JsonObject(answer, "run"), "info"), "artifact_uri"));
        });
  }

  void Model(const ModelsUri& uri) {
    using enum ModelsUri::Kind;
    switch (uri.kind) {
      case kModelId:
        return Ask(
            *servers_.tracking,
            fmt::format("logged-models/{}", PercentEncode(uri.name, Slash::kEncode)), {},
            [](Resolver& self, const json& answer) {
              self.Uri(JsonText(JsonObject(JsonObject(answer, "model"), "info"), "artifact_uri"));
            });
      case kVersion: return Version(uri.name, uri.suffix);
      case kAlias:
        return Ask(*servers_.registry, "registered-models/alias",
                   {{"name", uri.name}, {"alias", uri.suffix}},
                   [name = uri.name](Resolver& self, const json& answer) {
                     self.Version(name, JsonText(JsonObject(answer, "model_version"), "version"));
                   });
      case kLatest:
      case kStage: return Stage(uri);
    }
  }

  void Stage(const ModelsUri& uri) {
    MlflowClient::Query query{{"name", uri.name}};
    if (uri.kind == ModelsUri::Kind::kStage) query.emplace_back("stages", uri.suffix);
    Ask(*servers_.registry, "registered-models/get-latest-versions", query,
        [uri](Resolver& self, const json& answer) {
          std::uint64_t highest = 0;
          for (const json& version : JsonArray(answer, "model_versions")) {
            const auto number = ParseVersionNumber(JsonText(version, "version"));
            highest = std::max(highest, number.value_or(0));
          }
          if (highest == 0) {
            return self.Finish(
                Fail(Errc::kNotFound, fmt::format("model '{}' has no version at '{}'",
                                                  Printable(uri.name), Printable(uri.suffix))));
          }
          self.Version(uri.name, std::to_string(highest));
        });
  }

  const MlflowServers servers_;
  Done<std::string> done_;
  std::string below_;  // Of what the URI in hand names.
  int steps_ = 0;
};

}  // namespace

void ResolveVersion(MlflowServers servers, const std::string& model, const std::string& number,
                    Done<std::string> done) {
  std::make_shared<Resolver>(std::move(servers), std::move(done))->Version(model, number);
}

}  // namespace modelfs::fetch
