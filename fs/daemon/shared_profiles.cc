#include "fs/daemon/shared_profiles.h"

#include <set>
#include <string>
#include <utility>

namespace modelfs::fs {

using index::AccessProfile;
using index::ProfileFile;

ProfileFile GatherProfiles(const index::RecordStore& records,
                           const std::vector<fetch::ObjectId>& ids) {
  ProfileFile file;
  std::set<std::pair<std::string, std::uint64_t>> seen;
  for (const fetch::ObjectId& id : ids) {
    const std::string name(AccessProfile::NameOf(id));
    if (name.empty() || name.size() > ProfileFile::kMostNameBytes) continue;
    if (file.profiles.size() == ProfileFile::kMostProfiles) break;
    auto profile = AccessProfile::Find(records, id);
    if (profile && seen.emplace(name, id.size_bytes).second) {
      file.profiles.push_back({.name = name, .profile = *std::move(profile)});
    }
  }
  return file;
}

Result<std::size_t> KeepProfiles(index::RecordStore& records, const ProfileFile& file) {
  for (const index::NamedProfile& named : file.profiles) {
    const std::string key = AccessProfile::SharedKeyOf(named.name, named.profile.object_bytes);
    auto put = records.Put(index::RecordKind::kProfile, key, named.profile.Encode());
    if (!put) return std::unexpected(put.error());
  }
  return file.profiles.size();
}

}  // namespace modelfs::fs
