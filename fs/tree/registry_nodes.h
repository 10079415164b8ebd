#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/registry.h"
#include "fs/tree/node_log.h"
#include "fs/tree/node_record.h"
#include "fs/tree/version_files.h"

namespace modelfs::fs {

/// The numbers that a registry's names have got. What has a number keeps it; nothing is removed.
/// Each is in the log before anybody is told.
///
/// Threads: any. Lock order: `mutex_`, then NodeLog::mutex_.
class RegistryNodes {
 public:
  /// `log` may be null; there it is registry number `registry`.
  RegistryNodes(std::shared_ptr<NodeLog> log, std::uint32_t registry)
      : log_(std::move(log)), registry_(registry) {}

  using FilesPtr = std::shared_ptr<const VersionFiles>;
  // Manifest serials (node_id.h).
  static constexpr std::uint32_t kModels = 1;
  static constexpr std::uint32_t kLines = 2;
  static constexpr std::uint32_t kFirstFiles = 3;  ///< And up: versions' files.

  struct Model {
    std::string raw;
    std::string shown;
    std::int64_t created_ms = 0;
  };
  /// An entry of a model's directory.
  struct Line {
    std::uint32_t model = 0;
    std::string name;
    std::string target;             ///< Of a link; empty: a version.
    fetch::ModelVersion version{};  ///< Of a version.
    std::uint32_t files = 0;        ///< Serial of the version's files; 0 until somebody looked.
  };

  std::uint32_t NumberOf(const fetch::RegisteredModel& model, const std::string& shown)
      EXCLUDES(mutex_);
  /// A line is the same when model, name, target and the version's time are.
  std::uint32_t NumberOf(Line line) EXCLUDES(mutex_);
  /// The serial of `files` behind line `line`; a new one when they are not those it had. Files of
  /// the same manifest have the same numbers, whatever the route to their bytes.
  std::uint32_t SerialOf(std::uint32_t line, const FilesPtr& files) EXCLUDES(mutex_);

  // The same for a log's records, in its order. Errors: kCorrupt.
  Result<void> Restore(const ModelRecord& record) EXCLUDES(mutex_);
  Result<void> Restore(const LineRecord& record) EXCLUDES(mutex_);
  /// `files`: those of the record's manifest.
  Result<void> Restore(const FilesRecord& record, const FilesPtr& files) EXCLUDES(mutex_);

  // Nullopt or null for a number that was never given out.
  std::optional<Model> ModelAt(std::uint32_t number) const EXCLUDES(mutex_);
  std::optional<Line> LineAt(std::uint32_t number) const EXCLUDES(mutex_);
  FilesPtr FilesAt(std::uint32_t serial) const EXCLUDES(mutex_);

 private:
  using LineKey = std::tuple<std::uint32_t, std::string, std::string, std::int64_t>;

  /// A number, and whether it is news.
  struct Given {
    std::uint32_t number = 0;
    bool news = false;
  };
  Given Take(Model model) REQUIRES(mutex_);
  Given Take(Line line) REQUIRES(mutex_);
  Given Take(std::uint32_t line, const FilesPtr& files) REQUIRES(mutex_);

  const std::shared_ptr<NodeLog> log_;
  const std::uint32_t registry_;
  mutable Mutex mutex_;
  std::deque<Model> models_ GUARDED_BY(mutex_);
  std::map<std::string, std::uint32_t> model_numbers_ GUARDED_BY(mutex_);  ///< By raw name.
  std::deque<Line> lines_ GUARDED_BY(mutex_);
  std::map<LineKey, std::uint32_t> line_numbers_ GUARDED_BY(mutex_);
  std::vector<FilesPtr> files_ GUARDED_BY(mutex_);  ///< By serial - kFirstFiles.
};

}  // namespace modelfs::fs
