#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fetch/registry.h"
#include "fs/tree/gone_origin.h"

namespace modelfs::fs {

/// Stands where a registry was that is no longer configured, as GoneOrigin does. Threads: any.
class GoneRegistry final : public fetch::Registry {
 public:
  GoneRegistry(std::string described, std::string domain)
      : described_(std::move(described)), domain_(std::move(domain)) {}

  std::string Describe() const override { return described_; }
  std::string Domain() const override { return domain_; }
  void ListModels(Done<std::vector<fetch::RegisteredModel>> done) override { done(Gone()); }
  void ListVersions(std::string, Done<std::vector<fetch::ModelVersion>> done) override {
    done(Gone());
  }
  void GetManifest(std::string, fetch::ModelVersion, Done<fetch::VersionManifest> done) override {
    done(Gone());
  }
  Result<std::shared_ptr<fetch::Origin>> Open(
      std::shared_ptr<const fetch::VersionManifest>) override {
    return std::make_shared<GoneOrigin>(described_);
  }
  void Probe(std::chrono::milliseconds, Done<void> done) override { done(Gone()); }

 private:
  std::unexpected<Error> Gone() const {
    return Fail(Errc::kNotFound, described_ + ": this registry is no longer configured");
  }
  const std::string described_;
  const std::string domain_;
};

}  // namespace modelfs::fs
