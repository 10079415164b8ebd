#include "fetch/mlflow/mlflow_registry.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fetch/base/percent.h"
#include "fetch/base/sha256.h"
#include "fetch/mlflow/artifact_routes.h"
#include "fetch/mlflow/artifact_uri.h"
#include "fetch/mlflow/artifact_walk.h"
#include "fetch/mlflow/mlflow_json.h"
#include "fetch/mlflow/mlflow_origin.h"
#include "fetch/mlflow/paged_call.h"

namespace modelfs::fetch {
namespace {

using nlohmann::json;

constexpr std::string_view kModelsPerPage = "1000";  // The most that servers give.
constexpr std::string_view kVersionsPerPage = "10000";

Entry ToEntry(const ArtifactLine& line, std::string name) {
  return {.name = std::move(name),
          .kind = line.is_directory ? Entry::Kind::kDirectory : Entry::Kind::kFile,
          .size_bytes = line.is_directory ? 0 : line.size_bytes,
          .modified = {},
          .tag = {}};
}

// Lines whose path is below a root; names are what is below `prefix` ("" or "a/b/").
std::vector<Entry> Below(const json& listing, std::string_view prefix) {
  std::vector<Entry> entries;
  for (const ArtifactLine& line : ParseArtifactLines(listing)) {
    if (!line.path.starts_with(prefix)) continue;  // A file lists as itself.
    std::string name = line.path.substr(prefix.size());
    if (!name.empty()) entries.push_back(ToEntry(line, std::move(name)));
  }
  return entries;
}

// A server that does not know the list of models has no registry; that is not "no such model".
Error NoRegistry(Error error) {
  if (error.code == Errc::kNotFound || error.code == Errc::kInvalid) {
    error.code = Errc::kCorrupt;
    error.what += ": there is no model registry at this address";
  }
  return error;
}

// A string of the filter language, which knows no escapes.
Result<std::string> Quoted(const std::string& text) {
  if (text.find('\'') == std::string::npos) return "'" + text + "'";
  if (text.find('"') == std::string::npos) return "\"" + text + "\"";
  return Fail(Errc::kInvalid, fmt::format("model '{}': its versions cannot be asked for: the name "
                                          "has quotes of both kinds",
                                          Printable(text, 128)));
}

// The id in ".../models/m-<32 digits>/artifacts[/path]", and what follows.
std::optional<std::pair<std::string, std::string>> LoggedModelOf(const std::string& uri) {
  constexpr std::string_view kMark = "/models/m-";
  constexpr std::string_view kEnd = "/artifacts";
  const std::size_t at = uri.rfind(kMark);
  if (at == std::string::npos) return std::nullopt;
  const std::size_t begin = at + kMark.size() - 2;
  const std::string_view rest = std::string_view(uri).substr(begin);
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !rest.substr(slash).starts_with(kEnd)) return std::nullopt;
  std::string_view path = rest.substr(slash + kEnd.size());
  if (path.starts_with('/')) path.remove_prefix(1);
  return std::pair(std::string(rest.substr(0, slash)), std::string(path));
}

ListArtifacts FromOrigin(const std::shared_ptr<Origin>& origin) {
  return [origin](const std::string& directory, Done<std::vector<Entry>> done) {
    origin->List(directory, [done = std::move(done)](Result<Listing> listing) mutable {
      if (!listing) return done(std::unexpected(std::move(listing.error())));
      done(std::move(listing->entries));
    });
  };
}

// One directory of a paged list whose paths are below a root; `at` is the directory there.
void ListPaged(const std::shared_ptr<MlflowClient>& client, const std::string& path,
               const MlflowClient::Query& query, const std::string& at,
               Done<std::vector<Entry>> done) {
  auto entries = std::make_shared<std::vector<Entry>>();
  GetPages(
      client, path, query,
      [entries, prefix = at.empty() ? at : at + "/"](const json& page) {
        for (Entry& entry : Below(page, prefix)) entries->push_back(std::move(entry));
      },
      [entries, done = std::move(done)](Result<void> all) mutable {
        if (!all) return done(std::unexpected(std::move(all.error())));
        done(std::move(*entries));
      });
}

std::string At(std::string_view top, std::string_view directory) {
  return JoinPath(JoinPath(top, directory), "");
}

}  // namespace

MlflowRegistry::MlflowRegistry(Options options)
    : options_(std::move(options)),
      servers_{.registry = ClientFor(options_.settings.registry_uri.empty()
                                         ? options_.settings.tracking_uri
                                         : options_.settings.registry_uri),
               .tracking = ClientFor(options_.settings.tracking_uri)},
      storage_(std::make_shared<RetryingClient>(options_.http)) {}

MlflowRegistry::~MlflowRegistry() {
  servers_.registry->Stop();
  servers_.tracking->Stop();
  storage_->Stop();
}

std::shared_ptr<MlflowClient> MlflowRegistry::ClientFor(const std::string& base_url) const {
  MlflowSettings login = options_.settings;
  const bool known = UrlOrigin(base_url) == UrlOrigin(login.tracking_uri) ||
                     UrlOrigin(base_url) == UrlOrigin(login.registry_uri);
  if (!known) {  // Named by a server, not by the user: it is told nothing.
    login.username = login.password = login.token = login.workspace = {};
    login.auth_file = login.token_file = {};
    login.client_certificate = {};
  }
  return std::make_shared<MlflowClient>(MlflowClient::Options{
      .base_url = base_url, .settings = std::move(login), .http = options_.http});
}

std::string MlflowRegistry::Describe() const { return "mlflow:" + servers_.registry->base_url(); }

std::string MlflowRegistry::What(const VersionManifest& manifest) const {
  return fmt::format("{} {}/{}", Describe(), Printable(manifest.model, 128),
                     manifest.version.number);
}

void MlflowRegistry::ListModels(Done<std::vector<RegisteredModel>> done) {
  auto models = std::make_shared<std::map<std::string, RegisteredModel>>();
  GetPages(
      servers_.registry, "registered-models/search", {{"max_results", std::string(kModelsPerPage)}},
      [models](const json& page) {
        for (const json& line : JsonArray(page, "registered_models")) {
          // Pages are by offset, so that a model may come twice; the later answer is the newer.
          if (auto model = ParseRegisteredModel(line)) {
            models->insert_or_assign(model->name, std::move(*model));
          }
        }
      },
      [models, done = std::move(done)](Result<void> all) mutable {
        if (!all) return done(std::unexpected(NoRegistry(std::move(all.error()))));
        std::vector<RegisteredModel> list;
        list.reserve(models->size());
        for (auto& [name, model] : *models) list.push_back(std::move(model));
        done(std::move(list));
      });
}

void MlflowRegistry::ListVersions(std::string model, Done<std::vector<ModelVersion>> done) {
  auto name = Quoted(model);
  if (!name) return done(std::unexpected(std::move(name.error())));
  auto versions = std::make_shared<std::map<std::uint64_t, ModelVersion>>();
  GetPages(
      servers_.registry, "model-versions/search",
      {{"filter", "name=" + *name}, {"max_results", std::string(kVersionsPerPage)}},
      [versions, model](const json& page) {
        for (const json& line : JsonArray(page, "model_versions")) {
          auto version = ParseModelVersion(line);
          if (version && JsonText(line, "name") == model)
            versions->emplace(version->number, *version);
        }
      },
      [versions, done = std::move(done)](Result<void> all) mutable {
        if (!all) return done(std::unexpected(std::move(all.error())));
        std::vector<ModelVersion> list;
        list.reserve(versions->size());
        for (auto& [number, version] : *versions) list.push_back(version);
        done(std::move(list));
      });
}

void MlflowRegistry::GetManifest(std::string model, ModelVersion version,
                                 Done<VersionManifest> done) {
  auto manifest = std::make_shared<VersionManifest>();
  manifest->model = std::move(model);
  manifest->version = version;
  // What is listed must be named with its model, and must be something.
  Done<VersionManifest> checked = [what = What(*manifest),
                                   done = std::move(done)](Result<VersionManifest> listed) mutable {
    if (!listed) {
      listed.error().what = fmt::format("{}: {}", what, listed.error().what);
    } else if (listed->files.empty()) {
      listed = Fail(Errc::kCorrupt, fmt::format("{}: the version is registered, but there are no "
                                                "files at {}",
                                                what, Printable(listed->uri)));
    }
    done(std::move(listed));
  };
  ResolveVersion(servers_, manifest->model, std::to_string(version.number),
                 [self = shared_from_this(), manifest,
                  checked = std::move(checked)](Result<std::string> uri) mutable {
                   if (!uri) return checked(std::unexpected(std::move(uri.error())));
                   manifest->uri = *std::move(uri);
                   const std::string scheme = UriScheme(manifest->uri);
                   if (scheme == "s3") return self->ListDirect(manifest, std::move(checked));
                   if (scheme == "mlflow-artifacts" || scheme == "http" || scheme == "https") {
                     return self->ListProxied(manifest, std::move(checked));
                   }
                   self->ListServed(manifest, std::move(checked));
                 });
}

void MlflowRegistry::Walk(const ManifestPtr& manifest, ListArtifacts list,
                          Done<VersionManifest> done) {
  WalkArtifacts(
      What(*manifest), std::move(list),
      [manifest, done = std::move(done)](Result<std::vector<ManifestFile>> files) mutable {
        if (!files) return done(std::unexpected(std::move(files.error())));
        manifest->files = *std::move(files);
        done(std::move(*manifest));
      });
}

void MlflowRegistry::ListDirect(const ManifestPtr& manifest, Done<VersionManifest> done) {
  auto origin = options_.open_storage(manifest->uri);
  if (!origin) {
    spdlog::info("mlflow.storage_not_direct what=\"{}\" why=\"{}\"", What(*manifest),
                 origin.error().what);
    return ListServed(manifest, std::move(done));
  }
  manifest->route = kDirectRoute;
  WalkArtifacts(What(*manifest), FromOrigin(*origin),
                [self = shared_from_this(), manifest,
                 done = std::move(done)](Result<std::vector<ManifestFile>> files) mutable {
                  if (files) {
                    manifest->files = *std::move(files);
                    return done(std::move(*manifest));
                  }
                  const bool guess =
                      self->options_.storage_is_a_guess && files.error().code != Errc::kCancelled;
                  if (files.error().code != Errc::kDenied && !guess) {
                    return done(std::unexpected(std::move(files.error())));
                  }
                  spdlog::warn("mlflow.storage_denied what=\"{}\" why=\"{}\"",
                               self->What(*manifest), files.error().what);
                  self->ListServed(manifest, std::move(done));
                });
}

void MlflowRegistry::ListProxied(const ManifestPtr& manifest, Done<VersionManifest> done) {
  std::string base;
  auto proxy = Proxy(manifest->uri, &base);
  if (!proxy) return done(std::unexpected(std::move(proxy.error())));
  manifest->route = kProxyRoute;
  auto list = [client = (*proxy)->client(), base](const std::string& directory,
                                                  Done<std::vector<Entry>> listed) {
    client->GetPath(kProxiedArtifacts, {{"path", At(base, directory)}}, client->retry(),
                    [listed = std::move(listed)](Result<json> answer) mutable {
                      if (!answer) return listed(std::unexpected(std::move(answer.error())));
                      listed(Below(*answer, ""));
                    });
  };
  Walk(manifest, std::move(list), std::move(done));
}

void MlflowRegistry::ListServed(const ManifestPtr& manifest, Done<VersionManifest> done) {
  manifest->route = kServedRoute;
  if (auto logged = LoggedModelOf(manifest->uri)) {
    const auto [id, path] = *std::move(logged);
    return ListLoggedModel(manifest, id, path, std::move(done));
  }
  servers_.registry->Get(
      "model-versions/get",
      {{"name", manifest->model}, {"version", std::to_string(manifest->version.number)}},
      [self = shared_from_this(), manifest, done = std::move(done)](Result<json> answer) mutable {
        if (!answer) return done(std::unexpected(std::move(answer.error())));
        const std::string run = JsonText(JsonObject(*answer, "model_version"), "run_id");
        if (!run.empty()) return self->ListRun(manifest, run, std::move(done));
        done(Fail(Errc::kInvalid,
                  fmt::format("its files at {} can be listed neither directly nor through the "
                              "server: give credentials of the storage",
                              Printable(manifest->uri))));
      });
}

void MlflowRegistry::ListLoggedModel(const ManifestPtr& manifest, const std::string& id,
                                     const std::string& path, Done<VersionManifest> done) {
  auto list = [client = servers_.tracking, id, path](const std::string& directory,
                                                     Done<std::vector<Entry>> listed) {
    const std::string at = At(path, directory);
    MlflowClient::Query query;
    if (!at.empty()) query.emplace_back("artifact_directory_path", at);
    ListPaged(
        client,
        fmt::format("logged-models/{}/artifacts/directories", PercentEncode(id, Slash::kEncode)),
        query, at, std::move(listed));
  };
  Walk(manifest, std::move(list), std::move(done));
}

void MlflowRegistry::ListRun(const ManifestPtr& manifest, const std::string& run_id,
                             Done<VersionManifest> done) {
  servers_.tracking->Get(
      "runs/get", {{"run_id", run_id}},
      [self = shared_from_this(), manifest, run_id,
       done = std::move(done)](Result<json> answer) mutable {
        if (!answer) return done(std::unexpected(std::move(answer.error())));
        const std::string root =
            JsonText(JsonObject(JsonObject(*answer, "run"), "info"), "artifact_uri") + "/";
        if (root == "/" || !(manifest->uri + "/").starts_with(root)) {
          return done(Fail(Errc::kInvalid, fmt::format("its files at {} are not those of its run",
                                                       Printable(manifest->uri))));
        }
        const std::string path =
            manifest->uri.size() < root.size() ? "" : manifest->uri.substr(root.size());
        manifest->route = fmt::format("{}{} {}", kRunRoute, run_id, path);
        auto list = [client = self->servers_.tracking, run_id, path](
                        const std::string& directory, Done<std::vector<Entry>> listed) {
          const std::string at = At(path, directory);
          MlflowClient::Query query{{"run_id", run_id}};
          if (!at.empty()) query.emplace_back("path", at);
          ListPaged(client, "artifacts/list", query, at, std::move(listed));
        };
        self->Walk(manifest, std::move(list), std::move(done));
      });
}

}  // namespace modelfs::fetch
