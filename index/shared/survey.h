#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "index/shared/heartbeat.h"
#include "index/shared/segment_folder.h"

namespace modelfs::index::shared {

/// A claim of somebody else, and how long he has been silent.
struct TheirClaim {
  std::uint64_t index = 0;
  std::uint32_t epoch = 0;
  std::string holder;                               ///< "": not known.
  std::optional<std::chrono::milliseconds> silent;  ///< Nullopt: could not be seen.
};

/// What is new in the folder of one object.
struct Survey {
  std::int64_t stamp = 0;
  std::optional<SegmentFolder::Listing> listing;  ///< Nullopt: nothing was published since.
  std::vector<TheirClaim> claims;                 ///< Those that were asked about.
};

struct SurveyQuestion {
  std::int64_t stamp = 0;          ///< Of the last listing.
  bool list = false;               ///< Even if nothing was published since.
  std::vector<TheirClaim> claims;  ///< Whose holders are to be looked at.
};

/// Looks. Waits for the server. Errors: as FromErrno.
Result<Survey> LookAround(const SegmentFolder& folder, Heartbeat& heartbeat,
                          SurveyQuestion question);

}  // namespace modelfs::index::shared
