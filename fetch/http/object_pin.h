#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fetch/http/transport.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// Whether two ETags name the same bytes; servers differ in quotes and in a weak mark.
bool SameEtag(std::string_view a, std::string_view b);

/// The tag of an object of whose identity its server says nothing but the size.
inline constexpr std::string_view kUnpinned = "unpinned";

/// "modified=<seconds since the epoch>": the tag of an object that has a time and no ETag.
std::string TimeTag(std::chrono::system_clock::time_point modified);

/// Adds what lets no other object than `object` answer a request for its key: If-Match with its
/// ETag, or If-Unmodified-Since.
void AddPin(const ObjectId& object, std::vector<std::pair<std::string, std::string>>& headers);

/// Whether the answer's ETag (or Last-Modified) is still the pinned one; nullopt: as far as it
/// says. `operation` names it in the kChanged that comes back otherwise.
std::optional<Error> CheckPin(const ObjectId& object, const HttpResponse& head,
                              std::string_view operation);

/// kChanged: "GET s3://b/k: WHY; it was N bytes with tag T".
Error ObjectChanged(const ObjectId& object, std::string_view operation, std::string_view why);

/// Whether the tag is a time and no ETag.
bool PinnedByTime(const ObjectId& object);

}  // namespace modelfs::fetch
