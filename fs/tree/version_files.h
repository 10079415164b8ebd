#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fetch/origin.h"
#include "fetch/registry.h"

namespace modelfs::fs {

/// The files of one model version as numbered nodes: what a manifest looks like as a tree.
///
/// Immutable, so any thread may read it. Numbers are derived from the manifest alone: the same
/// manifest gives the same numbers in another process.
class VersionFiles {
 public:
  struct Node {
    std::string name;       ///< As shown.
    std::string directory;  ///< Raw path of the folder it is in: "" or "a/b/".
    std::uint64_t size_bytes = 0;
    std::chrono::system_clock::time_point modified{};
    bool is_file = false;
    std::uint32_t file = 0;   ///< Index in the manifest.
    std::uint32_t first = 0;  ///< Of its children, which are numbered in a row, sorted by name.
    std::uint32_t count = 0;
  };
  static constexpr std::uint32_t kTop = 0;

  VersionFiles(std::shared_ptr<const fetch::VersionManifest> manifest,
               std::shared_ptr<fetch::Origin> origin);

  const fetch::VersionManifest& manifest() const { return *manifest_; }
  const std::shared_ptr<fetch::Origin>& origin() const { return origin_; }
  /// Null for a number that there is not.
  const Node* At(std::uint32_t number) const;
  /// The child of folder `parent` that is shown as `name`.
  std::optional<std::uint32_t> Find(std::uint32_t parent, std::string_view name) const;
  /// The nearest file called `name` in the folders above file `number`, and what is left of that
  /// file's raw path below that folder.
  std::optional<std::pair<std::uint32_t, std::string>> FindAbove(std::uint32_t number,
                                                                 std::string_view name) const;
  /// Requires: At(number)->is_file.
  fetch::ObjectId Identity(std::uint32_t number) const;

  std::uint64_t file_count() const { return file_count_; }
  std::uint64_t bytes() const { return bytes_; }
  /// The identities of all files.
  std::vector<fetch::ObjectId> Identities() const;

 private:
  const std::shared_ptr<const fetch::VersionManifest> manifest_;
  const std::shared_ptr<fetch::Origin> origin_;
  std::vector<Node> nodes_;
  std::uint64_t file_count_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace modelfs::fs
