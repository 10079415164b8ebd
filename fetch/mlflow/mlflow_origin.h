#pragma once

#include <map>
#include <memory>
#include <string>

#include "fetch/base/mutex.h"
#include "fetch/mlflow/served_artifacts.h"
#include "fetch/origin.h"
#include "fetch/registry.h"

namespace modelfs::fetch {

/// The files of one model version. Names and sizes come from its manifest, bytes from the storage
/// directly or through the server; neither is part of an object's identity, which is the artifact
/// URI with the version's creation time.
///
/// Threads and lifetime: as Origin.
class MlflowOrigin final : public Origin {
 public:
  struct Options {
    std::shared_ptr<const VersionManifest> manifest;
    std::string server;  ///< "mlflow:http://host:5000"
    std::string domain;
    std::shared_ptr<Origin> direct;           ///< Of the manifest's URI; null: through `served`.
    std::shared_ptr<ServedArtifacts> served;  ///< Null: through `direct`.
    std::string served_path;                  ///< What `served` calls the top of the version.
  };
  explicit MlflowOrigin(Options options);

  std::string Describe() const override;
  void List(std::string directory, Done<Listing> done) override;
  ObjectId Pin(std::string_view directory, const Entry& entry) const override;
  Delivery DeliveryOf(const ObjectId& object) const override;
  void Read(const ObjectId& object, ByteRange range, std::shared_ptr<BodySink> sink,
            Done<void> done) override;
  void Checksums(const ObjectId& object, Done<PublishedChecksums> done) override;
  void Probe(std::chrono::milliseconds deadline, Done<void> done) override;

 private:
  const ManifestFile* Find(const ObjectId& object) const;
  ObjectId DirectId(const ManifestFile& file) const;
  ServedArtifacts::Object Served(const ManifestFile& file) const;
  std::shared_ptr<EtagPin> PinOf(const std::string& path) EXCLUDES(mutex_);

  const Options options_;
  const ManifestFile* sample_ = nullptr;  // The smallest file that has bytes.
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<EtagPin>> pins_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fetch
