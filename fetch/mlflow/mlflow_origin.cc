#include "fetch/mlflow/mlflow_origin.h"

#include <fmt/format.h>

#include <algorithm>

#include "fetch/base/percent.h"
#include "fetch/mlflow/artifact_uri.h"

namespace modelfs::fetch {
namespace {

std::unexpected<Error> NoSuchFile(const ObjectId& object) {
  return Fail(Errc::kNotFound,
              fmt::format("{}: not in the manifest of its model version", object.Describe()));
}

std::pair<std::string, std::string> SplitPath(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash + 1), path.substr(slash + 1)};
}

}  // namespace

MlflowOrigin::MlflowOrigin(Options options) : options_(std::move(options)) {
  // Two bytes at least: one byte asked for and one got says nothing about ranges.
  for (const ManifestFile& file : options_.manifest->files) {
    if (file.size_bytes < 2 || !CanBeProxied(file.path)) continue;
    if (sample_ == nullptr || file.size_bytes < sample_->size_bytes) sample_ = &file;
  }
}

std::string MlflowOrigin::Describe() const {
  return fmt::format("{} {}/{}", options_.server, Printable(options_.manifest->model, 128),
                     options_.manifest->version.number);
}

void MlflowOrigin::List(std::string directory, Done<Listing> done) {
  Listing listing;
  const auto& files = options_.manifest->files;
  auto at = std::ranges::lower_bound(files, directory, {}, &ManifestFile::path);
  for (; at != files.end() && at->path.starts_with(directory); ++at) {
    const std::string_view rest = std::string_view(at->path).substr(directory.size());
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) {
      listing.entries.push_back({.name = std::string(rest),
                                 .kind = Entry::Kind::kFile,
                                 .size_bytes = at->size_bytes,
                                 .modified = at->modified,
                                 .tag = {}});
    } else if (const auto name = rest.substr(0, slash);
               listing.entries.empty() || listing.entries.back().name != name) {
      listing.entries.push_back({.name = std::string(name), .kind = Entry::Kind::kDirectory});
    }
  }
  if (listing.entries.empty() && !directory.empty()) {
    return done(Fail(Errc::kNotFound,
                     fmt::format("{}: no directory '{}'", Describe(), Printable(directory))));
  }
  std::ranges::sort(listing.entries, {}, &Entry::name);
  done(std::move(listing));
}

ObjectId MlflowOrigin::Pin(std::string_view directory, const Entry& entry) const {
  const VersionManifest& manifest = *options_.manifest;
  return {.domain = options_.domain,
          .source = options_.server,
          .key = JoinPath(manifest.uri, fmt::format("{}{}", directory, entry.name)),
          .tag = fmt::format("created={}", manifest.version.created_ms),
          .size_bytes = entry.size_bytes};
}

Delivery MlflowOrigin::DeliveryOf(const ObjectId& object) const {
  const ManifestFile* const file = Find(object);
  if (options_.direct && file != nullptr) return options_.direct->DeliveryOf(DirectId(*file));
  const bool stream = options_.served && options_.served->way() == ServedArtifacts::Way::kStream;
  return stream ? Delivery::kStream : Delivery::kRanges;
}

const ManifestFile* MlflowOrigin::Find(const ObjectId& object) const {
  const std::string prefix = JoinPath(options_.manifest->uri, "") + "/";
  if (!object.key.starts_with(prefix)) return nullptr;
  const std::string_view path = std::string_view(object.key).substr(prefix.size());
  const auto& files = options_.manifest->files;
  const auto found = std::ranges::lower_bound(files, path, {}, &ManifestFile::path);
  if (found == files.end() || found->path != path) return nullptr;
  return &*found;
}

ObjectId MlflowOrigin::DirectId(const ManifestFile& file) const {
  auto [directory, name] = SplitPath(file.path);
  return options_.direct->Pin(directory, {.name = std::move(name),
                                          .kind = Entry::Kind::kFile,
                                          .size_bytes = file.size_bytes,
                                          .modified = file.modified,
                                          .tag = file.tag});
}

ServedArtifacts::Object MlflowOrigin::Served(const ManifestFile& file) const {
  return {.path = JoinPath(options_.served_path, file.path),
          .size_bytes = file.size_bytes,
          .what = fmt::format("{}/{}", Describe(), Printable(file.path)),
          .pin = nullptr};
}

std::shared_ptr<EtagPin> MlflowOrigin::PinOf(const std::string& path) {
  MutexLock lock(mutex_);
  auto& pin = pins_[path];
  if (!pin) pin = std::make_shared<EtagPin>();
  return pin;
}

void MlflowOrigin::Read(const ObjectId& object, ByteRange range, std::shared_ptr<BodySink> sink,
                        Done<void> done) {
  const ManifestFile* const file = Find(object);
  if (file == nullptr) return done(NoSuchFile(object));
  if (options_.direct) {
    return options_.direct->Read(DirectId(*file), range, std::move(sink), std::move(done));
  }
  if (!CanBeProxied(file->path)) {
    return done(Fail(Errc::kInvalid,
                     fmt::format("{}/{}: MLflow's server cannot serve a name with '#', '\\' or "
                                 "'%' before two hex digits; read the storage directly",
                                 Describe(), Printable(file->path))));
  }
  ServedArtifacts::Object served = Served(*file);
  served.pin = PinOf(file->path);
  options_.served->Read(std::move(served), Served(sample_ != nullptr ? *sample_ : *file), range,
                        std::move(sink), std::move(done));
}

void MlflowOrigin::Checksums(const ObjectId& object, Done<PublishedChecksums> done) {
  const ManifestFile* const file = Find(object);
  if (file == nullptr) return done(NoSuchFile(object));
  if (!options_.direct) return done(PublishedChecksums{});
  options_.direct->Checksums(DirectId(*file), std::move(done));
}

void MlflowOrigin::Probe(std::chrono::milliseconds deadline, Done<void> done) {
  if (options_.direct) return options_.direct->Probe(deadline, std::move(done));
  done({});
}

}  // namespace modelfs::fetch
