#include "fs/copy/wanted_version.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

#include "fetch/base/await.h"
#include "fetch/base/percent.h"

namespace modelfs::fs {
namespace {

constexpr std::size_t kMostNames = 20;
/// Longer than the registry's own patience.
constexpr std::chrono::minutes kAnswerLimit{2};

using Models = std::vector<fetch::RegisteredModel>;
using Versions = std::vector<fetch::ModelVersion>;

Result<Models> AllModels(fetch::Registry& registry) {
  Await<Models> models;
  registry.ListModels(models.done());
  return models.Wait(kAnswerLimit);
}

std::unexpected<Error> NoModel(const std::string& model, const Models& models) {
  std::vector<std::string> names;
  names.reserve(models.size());
  for (const auto& other : models) names.push_back(Printable(other.name, 128));
  return Fail(Errc::kNotFound, fmt::format("model '{}' is not in the registry; {}",
                                           Printable(model, 256), WhatThereIs(std::move(names))));
}

/// Empty also where there is no such model: some servers do not tell the two apart.
Result<Versions> VersionsOf(fetch::Registry& registry, const std::string& model) {
  Await<Versions> answer;
  registry.ListVersions(model, answer.done());
  auto versions = answer.Wait(kAnswerLimit);
  if (!versions && versions.error().code == Errc::kNotFound) return Versions{};
  return versions;
}

std::unexpected<Error> NoVersion(const std::string& model, const std::string& wanted,
                                 const Versions& versions,
                                 const std::map<std::string, std::uint64_t>& aliases) {
  std::vector<std::string> names;
  names.reserve(versions.size() + aliases.size());
  for (const auto& version : versions) names.push_back(std::to_string(version.number));
  for (const auto& [alias, number] : aliases) {
    names.push_back(fmt::format("@{}", Printable(alias, 128)));
  }
  return Fail(Errc::kNotFound,
              fmt::format("model '{}' has no version '{}'; {}", Printable(model, 256),
                          Printable(wanted, 256), WhatThereIs(std::move(names))));
}

}  // namespace

std::string WhatThereIs(std::vector<std::string> names) {
  if (names.empty()) return "there is none";
  const std::size_t more = names.size() - std::min(names.size(), kMostNames);
  names.resize(names.size() - more);
  return fmt::format("there {} {}{}", names.size() == 1 ? "is" : "are", fmt::join(names, ", "),
                     more == 0 ? "" : fmt::format(" and {} more", more));
}

Result<fetch::ModelVersion> FindVersion(fetch::Registry& registry, const std::string& model,
                                        const std::string& wanted) {
  const auto versions = VersionsOf(registry, model);
  if (!versions) return std::unexpected(versions.error());
  const auto at = [&](std::uint64_t number) {
    return std::ranges::find(*versions, number, &fetch::ModelVersion::number);
  };
  auto found = std::ranges::find_if(
      *versions, [&](const auto& version) { return std::to_string(version.number) == wanted; });
  if (wanted == "latest" && !versions->empty()) found = std::prev(versions->end());
  std::map<std::string, std::uint64_t> aliases;
  if (found == versions->end()) {
    const auto models = AllModels(registry);
    if (!models) return std::unexpected(models.error());
    const auto registered = std::ranges::find(*models, model, &fetch::RegisteredModel::name);
    if (registered == models->end()) return NoModel(model, *models);
    aliases = registered->aliases;
    const bool by_alias = wanted.starts_with('@');
    const auto alias = by_alias ? aliases.find(wanted.substr(1)) : aliases.end();
    if (alias != aliases.end()) found = at(alias->second);
  }
  if (found == versions->end()) return NoVersion(model, wanted, *versions, aliases);
  if (found->ready) return *found;
  return Fail(Errc::kInvalid, fmt::format("model '{}' version {} is not ready yet: files may still "
                                          "be added to it; try again later",
                                          Printable(model, 256), found->number));
}

}  // namespace modelfs::fs
