#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "fetch/base/worker_pool.h"
#include "fs/tree/mount_reports.h"
#include "index/cache.h"

namespace modelfs::fs {

/// The files of `.modelfs/`, made by what makes the control socket's answers (status_report.h).
///
/// Threads: any; texts are made on `pool`, because a look at the cache's disk can take long.
class KnownReports final : public MountReports {
 public:
  struct Options {
    std::string version;
    std::function<nlohmann::json()> status;  ///< Called on `pool`.
    std::shared_ptr<index::Cache> cache;
    WorkerPool* pool = nullptr;  ///< Borrowed: outlives every call.
  };
  explicit KnownReports(Options options) : options_(std::move(options)) {}

  std::string Version() const override { return options_.version; }
  void Status(Done<std::string> done) override;
  void Progress(std::move_only_function<Result<ListedVersion>()> version,
                Done<std::string> done) override;

 private:
  const Options options_;
};

}  // namespace modelfs::fs
