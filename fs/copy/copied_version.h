#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/origin.h"
#include "fs/tree/version_files.h"

namespace modelfs::fs {

/// The file that a whole copy has at its top. It came into its place together with everything else,
/// so that where it is, all of it is.
inline constexpr const char* kCopyRecord = ".modelfs-copy";

/// A file of a version, as it is copied.
struct CopyFile {
  std::string path;  ///< As a mount shows it: "a/b.bin", every component a safe file name.
  fetch::ObjectId object;
};

/// Which version a copy is of. Its number starts again at 1 when a model is made anew.
struct CopySubject {
  std::string model;  ///< Raw.
  std::uint64_t number = 0;
  std::int64_t created_ms = 0;
  std::string uri;  ///< Where the registry says that it lies.
};

/// What is to be copied: a version and all its files.
struct CopyList {
  CopySubject subject;
  std::vector<CopyFile> files;

  std::uint64_t bytes() const;
  /// 64 hex digits: two lists with the same are the same bytes at the same paths.
  std::string Identity() const;
};

/// The files of `version`, without one that has the name of our record.
CopyList ListForCopy(const VersionFiles& version);

/// What lies at the place of a copy.
struct PlaceState {
  enum class Kind : std::uint8_t {
    kFree,     ///< Nothing, or an empty folder.
    kWhole,    ///< A whole copy of this version.
    kForeign,  ///< Something that was not copied by us: nobody knows whether it is whole.
    kDamaged,  ///< A copy of ours that is not whole any more, or of an earlier life of the model.
  };
  Kind kind = Kind::kFree;
  std::string why;  ///< Of kForeign and kDamaged: "model.pkl is missing".
};

/// Looks at `path` by its record and the sizes of its files; reads no contents. Waits for the disk.
/// `created_ms`: of the version, where it is known. Errors: as FromErrno, naming the path.
Result<PlaceState> LookAtPlace(const std::string& path, const std::string& model,
                               std::uint64_t number,
                               std::optional<std::int64_t> created_ms = std::nullopt);

/// Writes the record of `list` into the open folder `directory` and syncs it.
/// Errors: kNoSpace and others as FromErrno.
Result<void> WriteCopyRecord(int directory, const CopyList& list);

}  // namespace modelfs::fs
