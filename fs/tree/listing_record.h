#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "fetch/base/error.h"
#include "fetch/origin.h"

namespace modelfs::fs {

// How a listing is kept in the index: fs/tree/README.md has the layout. What these read comes from
// a disk and is believed only when its checksum fits.

/// A listing as bytes. The same listing gives the same bytes.
std::string EncodeListing(const fetch::Listing& listing);
/// Errors: kCorrupt (damaged, or no listing at all), kInvalid (of another version).
Result<fetch::Listing> DecodeListing(std::string_view bytes);

/// What tells two encoded listings apart.
std::uint64_t ListingChecksum(std::string_view encoded);

/// When a listing was last found to be so. Kept apart, because it changes much more often.
struct ListingStamp {
  std::chrono::system_clock::time_point listed_at{};
  std::uint64_t checksum = 0;  ///< Of the listing that was found.

  std::string Encode() const;
  /// Errors: kCorrupt, kInvalid.
  static Result<ListingStamp> Decode(std::string_view bytes);
};

}  // namespace modelfs::fs
