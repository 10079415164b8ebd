#pragma once

#include <string_view>

#include "fetch/base/error.h"
#include "fetch/http_dir/listing.h"

namespace modelfs::fetch {

/// See ParseHttpListing and README.md.
Result<HttpListing> ParseJsonListing(std::string_view text, ListingPlace place);

}  // namespace modelfs::fetch
