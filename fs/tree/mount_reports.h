#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/origin.h"

namespace modelfs::fs {

/// A model version of a registry, and its files.
struct ListedVersion {
  std::string model;  ///< As the registry calls it.
  std::uint64_t number = 0;
  /// Nullopt: nobody has asked for the list of files yet.
  std::optional<std::vector<fetch::ObjectId>> files;
};

/// The texts of the files below `.modelfs/`: what a mount tells about itself.
///
/// Threads: any. Each `done` is called once, on a thread that may wait for the disk. The texts are
/// made of what is known: nobody is asked for them.
class MountReports {
 public:
  virtual ~MountReports() = default;
  /// `.modelfs/version`.
  virtual std::string Version() const = 0;
  /// `.modelfs/status.json`.
  virtual void Status(Done<std::string> done) = 0;
  /// `progress.json` of what `version` says on that thread. Errors: those of `version`.
  virtual void Progress(std::move_only_function<Result<ListedVersion>()> version,
                        Done<std::string> done) = 0;
};

}  // namespace modelfs::fs
