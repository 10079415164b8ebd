#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fs/csi/volume_login.h"
#include "fs/csi/volume_spec.h"

namespace modelfs::fs {

/// A volume that was published, or was being. No secrets.
struct VolumeRecord {
  std::string volume_id;
  std::string target;      ///< Where the pod sees it.
  std::string domain;      ///< Of its login.
  bool one_place = false;  ///< Its access mode allows one target at a time.
  VolumeSpec spec;

  /// Names its folder: a hash of volume and target.
  std::string Key() const;
};

/// What the driver remembers, on the node's disk:
///
/// ```
/// <state>/volumes/<key>/volume.json    a VolumeRecord
///                       mnt/           where modelfs mounts it; the target is bound to a folder in
///                       it home/          an empty home for `modelfs mount`
/// <state>/logins/<domain>/aws          keys, as a file of ~/.aws; token, auth, ca.crt
/// ```
/// All 0700 and 0600. Files are replaced whole. Threads: any; calls for one volume, or one domain,
/// one at a time. Errors: as FromErrno, naming the file.
class VolumeFiles {
 public:
  explicit VolumeFiles(std::filesystem::path state) : state_(std::move(state)) {}

  /// Makes the folders.
  Result<void> Prepare() const;
  /// Nullopt: there is none that makes sense.
  std::optional<VolumeRecord> Find(const std::string& key) const;
  /// All records; a folder without one that makes sense has only its key.
  struct Found {
    std::string key;
    std::optional<VolumeRecord> record;
  };
  Result<std::vector<Found>> Load() const;
  /// Makes the volume's folder, too.
  Result<void> Save(const VolumeRecord& record) const;
  /// Requires: nothing is mounted there; what cannot be removed stays.
  void Remove(const std::string& key) const;

  std::string MountPath(const std::string& key) const;
  std::string HomePath(const std::string& key) const;
  std::string volumes() const { return (state_ / "volumes").string(); }

  /// Writes what there is of `login`, and removes what there is no more.
  Result<void> SaveLogin(const VolumeLogin& login) const;
  void RemoveLogin(const std::string& domain) const;
  /// Path of one of its files: "aws", "token", "auth", "ca.crt".
  std::string LoginFile(const std::string& domain, const char* name) const;

 private:
  const std::filesystem::path state_;
};

}  // namespace modelfs::fs
