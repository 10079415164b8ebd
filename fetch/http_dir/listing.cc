#include "fetch/http_dir/listing.h"

#include <algorithm>

#include "fetch/http_dir/listing_html.h"
#include "fetch/http_dir/listing_json.h"

namespace modelfs::fetch {

Result<HttpListing> ParseHttpListing(std::string_view body, ListingPlace place) {
  const std::size_t first = body.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  const char begin = first == std::string_view::npos ? '\0' : body[first];
  if (place == ListingPlace::kIndexFile || begin == '[' || begin == '{') {
    return ParseJsonListing(body, place);
  }
  return ParseHtmlListing(body);
}

}  // namespace modelfs::fetch
