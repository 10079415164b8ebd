#include "fetch/mlflow/mlflow_json.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace modelfs::fetch {
namespace {

using nlohmann::json;

const json* Find(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::int64_t Milliseconds(const json& object, const char* name) {
  const auto value = JsonNumber(object, name).value_or(0);
  constexpr std::uint64_t kYear9999 = 253'402'300'799'000;
  return static_cast<std::int64_t>(std::min(value, kYear9999));
}

}  // namespace

std::string JsonText(const json& object, const char* name) {
  const json* const value = Find(object, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::optional<std::uint64_t> JsonNumber(const json& object, const char* name) {
  const json* const value = Find(object, name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_unsigned()) return value->get<std::uint64_t>();
  if (value->is_string()) return ParseNumber(value->get_ref<const std::string&>());
  return std::nullopt;
}

bool JsonFlag(const json& object, const char* name) {
  const json* const value = Find(object, name);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

const json& JsonArray(const json& object, const char* name) {
  static const json empty = json::array();
  const json* const value = Find(object, name);
  return value != nullptr && value->is_array() ? *value : empty;
}

const json& JsonObject(const json& object, const char* name) {
  static const json empty = json::object();
  const json* const value = Find(object, name);
  return value != nullptr && value->is_object() ? *value : empty;
}

std::optional<std::uint64_t> ParseVersionNumber(std::string_view text) {
  const auto number = ParseNumber(text);
  // It becomes a directory's name, and must lead back to the same text.
  if (!number || *number == 0 || *number > std::numeric_limits<std::int64_t>::max() ||
      text.front() == '0') {
    return std::nullopt;
  }
  return number;
}

std::optional<RegisteredModel> ParseRegisteredModel(const json& model) {
  RegisteredModel out;
  out.name = JsonText(model, "name");
  if (out.name.empty()) return std::nullopt;
  out.created_ms = Milliseconds(model, "creation_timestamp");
  for (const json& version : JsonArray(model, "latest_versions")) {
    const auto number = ParseVersionNumber(JsonText(version, "version"));
    if (!number) continue;
    out.latest = std::max(out.latest, *number);
    const std::string stage = JsonText(version, "current_stage");
    if (!stage.empty() && stage != "None") out.aliases[stage] = *number;
  }
  // After the stages: an alias of the same name wins.
  for (const json& alias : JsonArray(model, "aliases")) {
    const auto number = ParseVersionNumber(JsonText(alias, "version"));
    const std::string name = JsonText(alias, "alias");
    if (number && !name.empty()) out.aliases[name] = *number;
  }
  return out;
}

std::optional<ModelVersion> ParseModelVersion(const json& version) {
  const auto number = ParseVersionNumber(JsonText(version, "version"));
  const std::string status = JsonText(version, "status");
  if (!number || status == "FAILED_REGISTRATION") return std::nullopt;
  return ModelVersion{.number = *number,
                      .created_ms = Milliseconds(version, "creation_timestamp"),
                      .ready = status != "PENDING_REGISTRATION"};
}

std::vector<ArtifactLine> ParseArtifactLines(const json& listing) {
  std::vector<ArtifactLine> lines;
  for (const json& file : JsonArray(listing, "files")) {
    ArtifactLine line{.path = JsonText(file, "path"),
                      .is_directory = JsonFlag(file, "is_dir"),
                      .size_bytes = JsonNumber(file, "file_size").value_or(0)};
    if (!line.path.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace modelfs::fetch
