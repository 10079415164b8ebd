#pragma once

#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fetch {

/// A directory of a web server: "https://host:8443/models/".
struct HttpUrl {
  std::string scheme;     ///< "http" or "https".
  std::string authority;  ///< Lower case, without a default port.
  std::string path;       ///< Encoded as given; begins and ends with '/'.

  /// A trailing slash does not matter.
  /// Errors: kInvalid: another scheme, no host, a user's name, a query, a fragment, '..' in the
  /// path. The text never quotes a user's name or password.
  static Result<HttpUrl> Parse(std::string_view text);
  std::string ToString() const { return scheme + "://" + authority + path; }
};

}  // namespace modelfs::fetch
