#pragma once

#include <string>
#include <string_view>

namespace modelfs::fetch {

/// Whom a JSON web token is about, "system:serviceaccount:prod:reader": its `sub`. "" where it is
/// no such token. Nothing is verified: it tells apart whose bytes are whose in a cache, for
/// somebody who holds the token anyway.
std::string TokenSubject(std::string_view token);

}  // namespace modelfs::fetch
