// Pages and JSON with which web servers list a directory.
#include "fetch/http_dir/listing.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = test::Text(data, size);
  for (const auto place : {fetch::ListingPlace::kDirectory, fetch::ListingPlace::kIndexFile}) {
    const auto listing = fetch::ParseHttpListing(text, place);
    if (!listing) continue;
    for (const auto& entry : listing->entries) {
      test::Require(!entry.name.empty() && entry.name != "." && entry.name != "..",
                    "a name is one of a child");
      test::Require(entry.name.find('/') == std::string::npos, "a name is one component");
    }
  }
  test::Use(fetch::ChildOfLink(text));
  return 0;
}
