#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// One version of a registered model. Its bytes never change once it is ready.
struct ModelVersion {
  std::uint64_t number = 0;
  /// Milliseconds since the epoch. With name and number what a version is: numbers start again at 1
  /// when a model is deleted and made anew.
  std::int64_t created_ms = 0;
  bool ready = true;  ///< False: files may still be added.

  friend bool operator==(const ModelVersion&, const ModelVersion&) = default;
};

/// A registered model as the registry's list has it.
struct RegisteredModel {
  std::string name;  ///< Raw, as the registry has it.
  std::int64_t created_ms = 0;
  std::uint64_t latest = 0;                      ///< Highest version number; 0: no version yet.
  std::map<std::string, std::uint64_t> aliases;  ///< Alias, or old-style stage -> version.

  friend bool operator==(const RegisteredModel&, const RegisteredModel&) = default;
};

/// One file of a version.
struct ManifestFile {
  std::string path;  ///< "a/b.bin", relative, raw; components never empty, "." or "..".
  std::uint64_t size_bytes = 0;
  std::chrono::system_clock::time_point modified{};  ///< Epoch where the store does not say.
  std::string tag;  ///< What pins it at the store that it is read from directly; else empty.

  friend bool operator==(const ManifestFile&, const ManifestFile&) = default;
};

/// What a version consists of and where its bytes are.
struct VersionManifest {
  std::string model;  ///< Raw name.
  ModelVersion version;
  std::string uri;    ///< Resolved: "s3://bucket/...", "mlflow-artifacts:/...".
  std::string route;  ///< How its bytes are had; means something to the registry only.
  std::vector<ManifestFile> files;  ///< Sorted by path, unique.
};

/// Names, versions and aliases of models, and what they consist of.
///
/// Threads: all methods from any thread, none waits; completions run on one of the registry's own
/// threads, exactly once, with no lock held, and must not wait.
/// Lifetime: as Origin. Origins made by Open live on their own.
class Registry {
 public:
  virtual ~Registry() = default;

  /// "mlflow:http://host:5000".
  virtual std::string Describe() const = 0;
  /// Hash of the server and of who we are there: answers are shared within it.
  virtual std::string Domain() const = 0;

  /// All models, sorted by name, however many pages that takes.
  /// Errors: kDenied, kInvalid, kCorrupt (no registry answers there), kTransient, kCancelled.
  virtual void ListModels(Done<std::vector<RegisteredModel>> done) = 0;

  /// All versions of `model`, sorted by number. Errors: as ListModels, and kNotFound.
  virtual void ListVersions(std::string model, Done<std::vector<ModelVersion>> done) = 0;

  /// Resolves where the version's artifacts are and lists them all.
  /// Errors: as ListVersions; kInvalid when it lies where we cannot read, with the reason.
  virtual void GetManifest(std::string model, ModelVersion version, Done<VersionManifest> done) = 0;

  /// Where the bytes of a version come from. Its List answers from the manifest, its Pin gives
  /// identities that do not depend on the route. Sends nothing.
  /// Errors: kInvalid, when the manifest is not one of this registry's.
  virtual Result<std::shared_ptr<Origin>> Open(std::shared_ptr<const VersionManifest> manifest) = 0;

  /// As Origin::Probe.
  virtual void Probe(std::chrono::milliseconds deadline, Done<void> done) = 0;
};

}  // namespace modelfs::fetch
