#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fetch/base/worker_pool.h"
#include "fetch/credentials/credential_settings.h"
#include "fetch/credentials/credential_source.h"

namespace modelfs::fetch {

/// Runs the program of a profile's credential_process.
///
/// Threads: the program is waited for on `pool`, which is borrowed and outlives the source.
/// Source: docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
class ProcessSource final : public CredentialSource {
 public:
  ProcessSource(CredentialSettings settings, WorkerPool* pool)
      : settings_(std::move(settings)), pool_(pool) {}
  std::string Describe() const override;
  void Fetch(std::stop_token stop, Done<TemporaryKeys> done) override;

 private:
  const CredentialSettings settings_;
  WorkerPool* const pool_;
};

/// Reads the keys of a profile out of AWS's two files, so that a file which somebody else keeps
/// fresh is read again. Threads and lifetime as ProcessSource.
class ProfileSource final : public CredentialSource {
 public:
  ProfileSource(CredentialSettings settings, WorkerPool* pool)
      : settings_(std::move(settings)), pool_(pool) {}
  std::string Describe() const override { return settings_.where; }
  void Fetch(std::stop_token stop, Done<TemporaryKeys> done) override;

 private:
  const CredentialSettings settings_;
  WorkerPool* const pool_;
};

}  // namespace modelfs::fetch
