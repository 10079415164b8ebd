#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// One name in a web server's listing, and what the listing says of it for certain.
struct HttpListed {
  std::string name;  ///< Raw bytes of one component.
  Entry::Kind kind = Entry::Kind::kFile;
  std::optional<std::uint64_t> size_bytes;
  std::chrono::system_clock::time_point modified{};
  std::string tag;  ///< As ObjectId::tag; empty: ask the server.
};

struct HttpListing {
  std::vector<HttpListed> entries;
  std::size_t skipped = 0;  ///< Links and names that are no plain children.
};

/// Where a listing was found, which decides how far it is believed.
enum class ListingPlace : std::uint8_t {
  kDirectory,  ///< What the server says of a directory.
  kIndexFile,  ///< index.json: a file that somebody wrote.
};

/// Reads the listing of a directory: HTML with links (nginx, Apache, lighttpd, Python), JSON of
/// nginx or Caddy, or our own index.json; see README.md. All of it is hostile: a link counts only
/// if it is relative, of one component, and neither '.' nor '..' when decoded.
///
/// From HTML and from Caddy only names are taken: sizes are rounded and times are of the minute.
/// Errors: kInvalid: no listing (some other page); kCorrupt: more than 200,000 names.
Result<HttpListing> ParseHttpListing(std::string_view body, ListingPlace place);

/// The name that a link of a listing stands for; a directory's ends in '/'. Nullopt: no child.
std::optional<std::string> ChildOfLink(std::string_view href);

}  // namespace modelfs::fetch
