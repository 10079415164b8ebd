#pragma once

#include <string>
#include <string_view>

namespace modelfs::fetch {

/// ObjectId::domain: who could have fetched the bytes, namely `principal` at `endpoint`. Names
/// directories of caches that exist.
std::string DomainOf(std::string_view endpoint, std::string_view principal);

}  // namespace modelfs::fetch
