#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fetch/base/mutex.h"
#include "fs/csi/csi_error.h"
#include "fs/csi/volume_files.h"
#include "fs/csi/volume_mounts.h"

namespace modelfs::fs {

/// The volumes of this node: published, looked at, taken away.
///
/// ```
///  Publish ─► record ─► login ─► modelfs mount <key>/mnt ─► bind <key>/mnt/<path> to the target
///             volumes/  logins/   a daemon per domain, which joins its other mounts
/// ```
/// What is published is known from the records and from mountinfo, never from memory: a driver that
/// was killed goes on where it was. What it left half done is taken back by Recover.
///
/// Threads: any; calls wait for mounting. Of two for one volume the second fails with kAborted.
/// Lock order: `logins_`, then `mutex_`; under both only small files are read and written.
class Volumes {
 public:
  struct Options {
    std::string cache_root;                    ///< Each domain's cache is a folder in it.
    std::vector<std::string> mount_arguments;  ///< For all mounts: limits of this node.
    std::vector<std::string> environment;      ///< For all mounts: proxies.
  };
  struct Request {
    std::string volume_id;
    std::string target;      ///< Absolute; its parent is there.
    bool one_place = false;  ///< The access mode allows one target at a time.
    StringMap attributes;
    StringMap secrets;
  };
  /// How a published volume fares.
  struct Condition {
    std::uint64_t total_bytes = 0;  ///< Of files that were listed so far.
    std::uint64_t cached_bytes = 0;
    std::string problem;  ///< Empty: none.
  };
  struct Counts {
    std::uint64_t published = 0;    ///< Of all times.
    std::uint64_t republished = 0;  ///< With what was there already: tokens may be new.
    std::uint64_t unpublished = 0;
    std::uint64_t recovered = 0;  ///< Left half done by a driver before, and taken back.
    std::uint64_t volumes = 0;    ///< Now.
  };

  /// Both are borrowed.
  Volumes(Options options, const VolumeFiles& files, VolumeMounts& mounts);

  /// Again with the same: takes over new tokens and secrets, and touches no mount.
  /// Errors: those of ParseVolume and FindLogin; kAlreadyExists (there, with other attributes, or
  /// as another volume), kFailedPrecondition (elsewhere), kAborted; those of mounting.
  CsiResult<void> Publish(const Request& request) EXCLUDES(mutex_);
  /// Also what is not published, or what is broken. Within ten seconds.
  CsiResult<void> Unpublish(const std::string& volume_id, const std::string& target)
      EXCLUDES(mutex_);
  /// Errors: kNotFound: it is not published there.
  CsiResult<Condition> Look(const std::string& volume_id, const std::string& target);
  /// Takes back what has a record and no target, and ends mounts that have no record.
  void Recover() EXCLUDES(mutex_);
  Counts counts() const;

 private:
  /// The right to work on a volume.
  class Turn;

  CsiResult<void> PublishAlone(const Request& request);
  CsiResult<void> MountAndBind(const VolumeRecord& record);
  VolumeMounts::Request MountRequest(const VolumeRecord& record) const;
  CsiResult<void> CheckPlaces(const VolumeRecord& wanted,
                              const std::vector<VolumeFiles::Found>& known) const;
  Result<void> SaveLogin(const VolumeLogin& login) EXCLUDES(logins_);
  CsiResult<void> TakeBack(const VolumeRecord& record);
  void ForgetLogin(const std::string& domain);
  bool IsPublished(const std::string& target);

  const Options options_;
  const VolumeFiles& files_;
  VolumeMounts& mounts_;
  std::atomic<std::uint64_t> published_{0};
  std::atomic<std::uint64_t> republished_{0};
  std::atomic<std::uint64_t> unpublished_{0};
  std::atomic<std::uint64_t> recovered_{0};
  Mutex logins_;  ///< Files of logins are written under it; before `mutex_`.
  mutable Mutex mutex_;
  std::set<std::string> busy_ GUARDED_BY(mutex_);           ///< Volumes.
  std::map<std::string, int> mounting_ GUARDED_BY(mutex_);  ///< Domains, by how many publishes.
};

}  // namespace modelfs::fs
