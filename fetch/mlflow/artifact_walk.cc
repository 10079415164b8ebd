#include "fetch/mlflow/artifact_walk.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "fetch/base/mutex.h"
#include "fetch/base/percent.h"
#include "fetch/base/relative_path.h"
#include "fetch/mlflow/artifact_uri.h"

namespace modelfs::fetch {
namespace {

constexpr std::size_t kMaxEntries = 1'000'000;
constexpr int kAtOnce = 4;

class Walk : public std::enable_shared_from_this<Walk> {
 public:
  Walk(std::string what, ListArtifacts list, Done<std::vector<ManifestFile>> done)
      : what_(std::move(what)), list_(std::move(list)), done_(std::move(done)) {
    waiting_.emplace_back();
  }

  void Go() EXCLUDES(mutex_) {
    for (;;) {
      std::string directory;
      {
        MutexLock lock(mutex_);
        if (error_ || waiting_.empty() || active_ >= kAtOnce) break;
        directory = std::move(waiting_.back());
        waiting_.pop_back();
        ++active_;
      }
      list_(directory,
            [self = shared_from_this(), directory](Result<std::vector<Entry>> entries) mutable {
              self->Take(directory, std::move(entries));
              self->Go();
            });
    }
    Done<std::vector<ManifestFile>> done;
    {
      MutexLock lock(mutex_);
      if (active_ > 0 || (!error_ && !waiting_.empty()) || !done_) return;
      done = std::exchange(done_, nullptr);
    }
    Finish(std::move(done));
  }

 private:
  void Take(const std::string& directory, Result<std::vector<Entry>> entries) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    --active_;
    if (!entries) {
      if (!error_) error_ = std::move(entries.error());
      return;
    }
    seen_ += entries->size();
    if (seen_ > kMaxEntries) {
      error_ = Error{Errc::kInvalid, fmt::format("more than {} artifacts", kMaxEntries)};
      return;
    }
    for (Entry& entry : *entries) {
      std::string path = directory + entry.name;
      if (entry.name.find('/') != std::string::npos || !IsSafeRelativePath(path)) {
        if (skipped_++ == 0) first_skipped_ = Printable(path, 128);
      } else if (entry.kind == Entry::Kind::kDirectory) {
        waiting_.push_back(std::move(path) + "/");
      } else {
        files_.push_back({.path = std::move(path),
                          .size_bytes = entry.size_bytes,
                          .modified = entry.modified,
                          .tag = std::move(entry.tag)});
      }
    }
  }

  void Finish(Done<std::vector<ManifestFile>> done) {
    std::optional<Error> error;
    std::vector<ManifestFile> files;
    {
      MutexLock lock(mutex_);
      error = std::move(error_);
      files = std::move(files_);
    }
    if (error) return done(std::unexpected(std::move(*error)));
    if (skipped_ > 0) {
      spdlog::warn(
          "mlflow.artifacts_skipped what=\"{}\" count={} first=\"{}\" why=\"no safe path\"", what_,
          skipped_, first_skipped_);
    }
    std::ranges::sort(files, {}, &ManifestFile::path);
    const auto repeated = std::ranges::unique(files, {}, &ManifestFile::path);
    files.erase(repeated.begin(), repeated.end());
    done(std::move(files));
  }

  const std::string what_;
  ListArtifacts list_;
  Mutex mutex_;
  Done<std::vector<ManifestFile>> done_ GUARDED_BY(mutex_);
  std::vector<std::string> waiting_ GUARDED_BY(mutex_);
  std::vector<ManifestFile> files_ GUARDED_BY(mutex_);
  std::optional<Error> error_ GUARDED_BY(mutex_);
  int active_ GUARDED_BY(mutex_) = 0;
  std::size_t seen_ GUARDED_BY(mutex_) = 0;
  std::size_t skipped_ = 0;  // These two: by Take under the lock, by Finish after all.
  std::string first_skipped_;
};

}  // namespace

void WalkArtifacts(std::string what, ListArtifacts list, Done<std::vector<ManifestFile>> done) {
  std::make_shared<Walk>(std::move(what), std::move(list), std::move(done))->Go();
}

}  // namespace modelfs::fetch
