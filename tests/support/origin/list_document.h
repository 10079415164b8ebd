#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/origin/object_store.h"

namespace modelfs::test {

/// What a ListBucketResult says besides its items.
struct ListDocument {
  std::string bucket;
  int version = 2;  ///< Of ListObjects.
  bool encode = false;
  bool plus_for_space = true;
  std::size_t max_keys = 1000;
  std::string start_after;           ///< The marker in version 1.
  std::optional<std::string> token;  ///< As the client sent it.
};

/// The XML text of one page.
std::string FormatListDocument(const ListDocument& document, const ListQuery& query,
                               const ListPage& page);

/// The opaque token that goes on behind `name`. Holds `+`, `/` and `=` as AWS's do, so that a
/// client that does not encode them fails.
std::string EncodeListToken(std::string_view name);
/// None when `token` is none of ours.
std::optional<std::string> DecodeListToken(std::string_view token);

}  // namespace modelfs::test
