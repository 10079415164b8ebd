#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fetch/registry.h"

namespace modelfs::fetch {

// Reads MLflow's answers as hostile input: a field of the wrong type is one that is not there, and
// an entry without what names it is left out.

/// "" when there is no such string.
std::string JsonText(const nlohmann::json& object, const char* name);
/// Numbers, and numbers in strings (proto3 JSON of int64); nullopt for all else and below 0.
std::optional<std::uint64_t> JsonNumber(const nlohmann::json& object, const char* name);
bool JsonFlag(const nlohmann::json& object, const char* name);
/// The object or array `name`, or an empty one.
const nlohmann::json& JsonArray(const nlohmann::json& object, const char* name);
const nlohmann::json& JsonObject(const nlohmann::json& object, const char* name);

/// A version as MLflow names it: digits, no sign, above 0.
std::optional<std::uint64_t> ParseVersionNumber(std::string_view text);

std::optional<RegisteredModel> ParseRegisteredModel(const nlohmann::json& model);
/// Nullopt also for a version whose registration failed: there is nothing behind it.
std::optional<ModelVersion> ParseModelVersion(const nlohmann::json& version);

/// One line of a listing of artifacts. `path` is as the server has it: the name alone or the path
/// below some root, by the route.
struct ArtifactLine {
  std::string path;
  bool is_directory = false;
  std::uint64_t size_bytes = 0;  ///< A file without "file_size" is empty.
};
/// The lines of "files". Those without a path are left out.
std::vector<ArtifactLine> ParseArtifactLines(const nlohmann::json& listing);

}  // namespace modelfs::fetch
