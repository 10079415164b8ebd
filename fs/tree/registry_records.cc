#include "fs/tree/registry_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fetch/base/percent.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;

// JSON holds UTF-8 only; names hold what servers like.
std::string Packed(std::string_view raw) { return PercentEncode(raw, Slash::kKeep); }

std::optional<std::string> Text(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return PercentDecode(found->get_ref<const std::string&>(), Plus::kPlus);
}

template <class Number>
bool Take(const json& object, const char* name, Number& out) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return false;
  out = found->get<Number>();
  return true;
}

json Record() { return {{"format", kFormat}}; }

std::optional<json> Parse(std::string_view text, const char* list) {
  json record = json::parse(text, nullptr, false);
  int format = 0;
  if (!record.is_object() || !Take(record, "format", format) || format != kFormat) {
    return std::nullopt;
  }
  const auto found = record.find(list);
  if (found == record.end() || !found->is_array()) return std::nullopt;
  return record;
}

std::string Dump(const json& record) {
  return record.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool TakeVersion(const json& object, fetch::ModelVersion& version) {
  if (!object.is_object()) return false;
  const auto ready = object.find("ready");
  if (ready == object.end() || !ready->is_boolean()) return false;
  version.ready = ready->get<bool>();
  return Take(object, "number", version.number) && Take(object, "created_ms", version.created_ms);
}

json VersionJson(const fetch::ModelVersion& version) {
  return {{"number", version.number}, {"created_ms", version.created_ms}, {"ready", version.ready}};
}

std::string Key(std::string_view kind, std::string_view domain, std::string_view model) {
  return fmt::format("{} {} {}:{}", kind, domain, model.size(), model);
}

}  // namespace

std::string EncodeModels(const RegisteredModels& models) {
  json record = Record();
  json& list = record["models"] = json::array();
  for (const auto& [name, model] : models) {
    json aliases = json::object();
    for (const auto& [alias, version] : model.aliases) aliases[Packed(alias)] = version;
    list.push_back({{"name", Packed(name)},
                    {"created_ms", model.created_ms},
                    {"latest", model.latest},
                    {"aliases", std::move(aliases)}});
  }
  return Dump(record);
}

std::optional<RegisteredModels> DecodeModels(std::string_view text) {
  const auto record = Parse(text, "models");
  if (!record) return std::nullopt;
  RegisteredModels models;
  for (const json& line : (*record)["models"]) {
    fetch::RegisteredModel model;
    const auto name = line.is_object() ? Text(line, "name") : std::nullopt;
    if (!name || !Take(line, "created_ms", model.created_ms) ||
        !Take(line, "latest", model.latest)) {
      return std::nullopt;
    }
    model.name = *name;
    const auto aliases = line.find("aliases");
    if (aliases == line.end() || !aliases->is_object()) return std::nullopt;
    for (const auto& [alias, version] : aliases->items()) {
      if (!version.is_number_unsigned()) return std::nullopt;
      model.aliases[PercentDecode(alias, Plus::kPlus)] = version.get<std::uint64_t>();
    }
    models.emplace(*name, std::move(model));
  }
  return models;
}

std::string EncodeVersions(const ModelVersions& versions) {
  json record = Record();
  json& list = record["versions"] = json::array();
  for (const auto& version : versions) list.push_back(VersionJson(version));
  return Dump(record);
}

std::optional<ModelVersions> DecodeVersions(std::string_view text) {
  const auto record = Parse(text, "versions");
  if (!record) return std::nullopt;
  ModelVersions versions;
  for (const json& line : (*record)["versions"]) {
    if (!TakeVersion(line, versions.emplace_back())) return std::nullopt;
  }
  return versions;
}

std::string EncodeManifest(const fetch::VersionManifest& manifest) {
  json record = Record();
  record["model"] = Packed(manifest.model);
  record["version"] = VersionJson(manifest.version);
  record["uri"] = Packed(manifest.uri);
  record["route"] = Packed(manifest.route);
  json& list = record["files"] = json::array();
  for (const fetch::ManifestFile& file : manifest.files) {
    const auto modified =
        std::chrono::floor<std::chrono::milliseconds>(file.modified.time_since_epoch());
    list.push_back({{"path", Packed(file.path)},
                    {"size", file.size_bytes},
                    {"modified_ms", modified.count()},
                    {"tag", Packed(file.tag)}});
  }
  return Dump(record);
}

std::optional<fetch::VersionManifest> DecodeManifest(std::string_view text) {
  const auto record = Parse(text, "files");
  if (!record) return std::nullopt;
  fetch::VersionManifest manifest;
  const auto model = Text(*record, "model");
  const auto uri = Text(*record, "uri");
  const auto route = Text(*record, "route");
  const auto version = record->find("version");
  if (!model || !uri || !route || version == record->end() ||
      !TakeVersion(*version, manifest.version)) {
    return std::nullopt;
  }
  manifest.model = *model;
  manifest.uri = *uri;
  manifest.route = *route;
  for (const json& line : (*record)["files"]) {
    fetch::ManifestFile file;
    std::int64_t modified_ms = 0;
    const auto path = line.is_object() ? Text(line, "path") : std::nullopt;
    const auto tag = path ? Text(line, "tag") : std::nullopt;
    if (!tag || !Take(line, "size", file.size_bytes) || !Take(line, "modified_ms", modified_ms)) {
      return std::nullopt;
    }
    file.path = *path;
    file.tag = *tag;
    file.modified = std::chrono::system_clock::time_point(std::chrono::milliseconds(modified_ms));
    manifest.files.push_back(std::move(file));
  }
  if (!std::ranges::is_sorted(manifest.files, {}, &fetch::ManifestFile::path)) return std::nullopt;
  return manifest;
}

std::string ModelsKey(std::string_view domain) { return Key("models", domain, ""); }

std::string VersionsKey(std::string_view domain, std::string_view model) {
  return Key("versions", domain, model);
}

std::string ManifestKey(std::string_view domain, std::string_view model,
                        const fetch::ModelVersion& version) {
  return fmt::format("{}/{}/{}", Key("manifest", domain, model), version.number,
                     version.created_ms);
}

}  // namespace modelfs::fs
