#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fetch/registry.h"
#include "tests/unit/fs/held_origin.h"

namespace modelfs::test {

/// A registry in memory, which can be down, or hold its answers back. Threads: one.
class FakeRegistry final : public fetch::Registry {
 public:
  std::string Describe() const override { return "mlflow:http://fake"; }
  std::string Domain() const override { return "domain"; }

  void ListModels(Done<std::vector<fetch::RegisteredModel>> done) override {
    ++model_lists;
    if (down) return done(Fail(Errc::kTransient, "the registry is down"));
    if (holding) {
      held.push_back(std::move(done));
      return;
    }
    done(Models());
  }
  void ListVersions(std::string model, Done<std::vector<fetch::ModelVersion>> done) override {
    ++version_lists;
    if (down) return done(Fail(Errc::kTransient, "the registry is down"));
    std::vector<fetch::ModelVersion> list;
    if (const auto found = versions.find(model); found != versions.end()) {
      for (const auto& [number, manifest] : found->second) list.push_back(manifest.version);
    }
    done(std::move(list));
  }
  void GetManifest(std::string model, fetch::ModelVersion version,
                   Done<fetch::VersionManifest> done) override {
    ++manifests;
    if (down) return done(Fail(Errc::kTransient, "the registry is down"));
    done(versions[model][version.number]);
  }
  Result<std::shared_ptr<fetch::Origin>> Open(
      std::shared_ptr<const fetch::VersionManifest>) override {
    return std::make_shared<HeldOrigin>();
  }
  void Probe(std::chrono::milliseconds, Done<void> done) override { done({}); }

  /// Adds or replaces a version with files of 10 bytes.
  void Add(const std::string& model, std::uint64_t number, std::vector<std::string> files,
           std::int64_t created_ms = 1'000, bool ready = true) {
    fetch::VersionManifest manifest{
        .model = model,
        .version = {.number = number, .created_ms = created_ms, .ready = ready},
        .uri = "fake:/" + model,
        .route = "fake"};
    for (auto& file : files) manifest.files.push_back({.path = std::move(file), .size_bytes = 10});
    versions[model][number] = std::move(manifest);
  }
  std::vector<fetch::RegisteredModel> Models() const {
    std::vector<fetch::RegisteredModel> list;
    for (const auto& [name, numbers] : versions) {
      fetch::RegisteredModel model{.name = name, .created_ms = 500};
      if (!numbers.empty()) model.latest = numbers.rbegin()->first;
      if (const auto found = aliases.find(name); found != aliases.end()) {
        model.aliases = found->second;
      }
      list.push_back(std::move(model));
    }
    return list;
  }

  std::map<std::string, std::map<std::uint64_t, fetch::VersionManifest>> versions;
  std::map<std::string, std::map<std::string, std::uint64_t>> aliases;
  std::vector<Done<std::vector<fetch::RegisteredModel>>> held;
  bool down = false;
  bool holding = false;
  int model_lists = 0;
  int version_lists = 0;
  int manifests = 0;
};

}  // namespace modelfs::test
