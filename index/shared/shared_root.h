#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "index/shared/shared_files.h"

namespace modelfs::index::shared {

/// The root of a shared directory: `FORMAT`, and what its filesystem can do.
class SharedRoot {
 public:
  static constexpr int kFormat = 1;

  struct Found {
    std::string filesystem;           ///< What kind: "nfs".
    std::uint64_t segment_bytes = 0;  ///< The directory's own.
    bool writable = false;
    bool exclusive = false;    ///< O_EXCL is refused where a name is taken.
    bool links = false;        ///< Hard links work.
    bool renames = false;      ///< A rename that replaces nothing works.
    std::string why;           ///< Why it is not writable.
    std::int64_t skew_ms = 0;  ///< The server's clock less ours.
    std::uint64_t free_bytes = 0;
  };
  /// Looks, and makes FORMAT in a directory that has none. `probe` is a name that nobody else has.
  /// Waits for the server.
  /// Errors: kInvalid (of another format, with both in the text); as FromErrno.
  static Result<Found> Look(SharedFiles& files, std::uint64_t segment_bytes,
                            const std::string& probe);
};

}  // namespace modelfs::index::shared
