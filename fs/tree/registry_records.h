#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/registry.h"

namespace modelfs::fs {

/// The models of a registry by their raw names.
using RegisteredModels = std::map<std::string, fetch::RegisteredModel>;
/// Sorted by number.
using ModelVersions = std::vector<fetch::ModelVersion>;

// What a registry answered, as it is kept in the index (index/record_store.h): JSON with a version
// number. What cannot be read back is none: it is asked for again.

std::string EncodeModels(const RegisteredModels& models);
std::optional<RegisteredModels> DecodeModels(std::string_view text);

std::string EncodeVersions(const ModelVersions& versions);
std::optional<ModelVersions> DecodeVersions(std::string_view text);

std::string EncodeManifest(const fetch::VersionManifest& manifest);
std::optional<fetch::VersionManifest> DecodeManifest(std::string_view text);

/// Keys: the registry's domain, then what the record is about. Parts are kept apart by their
/// lengths, names may hold any bytes.
std::string ModelsKey(std::string_view domain);
std::string VersionsKey(std::string_view domain, std::string_view model);
std::string ManifestKey(std::string_view domain, std::string_view model,
                        const fetch::ModelVersion& version);

}  // namespace modelfs::fs
