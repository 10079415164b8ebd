#pragma once

#include <string_view>

#include "fetch/base/error.h"
#include "fetch/http_dir/listing.h"

namespace modelfs::fetch {

inline constexpr std::size_t kMaxListed = 200'000;

/// See ParseHttpListing. A page counts as a listing if its title or first heading says so: "Index
/// of
/// ..." or "Directory listing for ...".
Result<HttpListing> ParseHtmlListing(std::string_view html);

}  // namespace modelfs::fetch
