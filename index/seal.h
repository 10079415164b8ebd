#pragma once

#include <cstdint>
#include <filesystem>

#include "fetch/base/error.h"

namespace modelfs::index {

/// Says beside an object's data that it is whole, verified and on disk, and that nobody will change
/// the file any more: the kernel may read it without us, and maps of it may outlive this process.
///
/// The file `sealed` is made by rename: "modelfs-seal 1 DEVICE INODE SIZE CTIME_NS\n", as the data
/// was then.
enum class SealState : std::uint8_t {
  kNone,      ///< There is none, or it speaks of another file, which is gone.
  kDoubtful,  ///< There is one, and the data has changed since: perhaps still read by somebody.
  kGood,      ///< The data is as it was when it was sealed.
};

/// Blocks on the disk. Errors: as FromErrno; what makes no sense is doubtful, not an error.
Result<SealState> ReadSeal(const std::filesystem::path& object, int data);
/// Requires: the data has been synced. Errors: as FromErrno.
Result<void> WriteSeal(const std::filesystem::path& object, int data);

inline constexpr const char* kSealName = "sealed";

}  // namespace modelfs::index
