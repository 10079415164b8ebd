#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"

namespace modelfs::fetch {

/// One page of ListObjectsV2, decoded: all names are raw key bytes.
struct S3ListPage {
  struct Object {
    std::string key;
    std::uint64_t size_bytes = 0;
    std::string etag;  ///< As the server writes it, usually in quotes; may be empty.
    std::chrono::system_clock::time_point modified{};  ///< Epoch when absent or unreadable.
  };
  std::vector<Object> objects;
  std::vector<std::string> prefixes;
  bool truncated = false;
  std::string next_token;  ///< Opaque; not empty when truncated.
};

/// Parses the body of a ListObjectsV2 answer, of any namespace. With encoding-type=url the server
/// says so in the answer, and only then names are decoded; '+' is a space unless the page itself
/// shows that its server writes spaces as %20.
/// Errors: kCorrupt: no XML, another document, a key without a name or a size, truncated without a
/// token to go on with.
/// Source: docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
Result<S3ListPage> ParseS3ListPage(std::string_view xml);

}  // namespace modelfs::fetch
