#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace modelfs::test {

/// Decodes %XX; a `%` that starts no such pair stays as it is.
std::string PercentDecode(std::string_view text);
/// Encodes all but `A-Za-z0-9-_.~` and the bytes of `keep`, upper-case hex.
std::string PercentEncode(std::string_view text, std::string_view keep = "");

/// The target of a request line as it was sent, and taken apart.
struct RequestTarget {
  std::string raw_path;   ///< "/bucket/a%20b"
  std::string raw_query;  ///< "list-type=2&prefix=a%2F", without the question mark.
  /// Decoded, in the order sent; `+` is a space here, as in a form.
  std::vector<std::pair<std::string, std::string>> query;

  static RequestTarget Parse(std::string_view uri);
  /// The value of `name`; none when the query does not have it.
  std::optional<std::string> Find(std::string_view name) const;
};

}  // namespace modelfs::test
