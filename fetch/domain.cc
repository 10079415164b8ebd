#include "fetch/domain.h"

#include <fmt/format.h>

#include "fetch/base/sha256.h"

namespace modelfs::fetch {

std::string DomainOf(std::string_view endpoint, std::string_view principal) {
  return Hex(Sha256(fmt::format("{}:{}{}", endpoint.size(), endpoint, principal))).substr(0, 32);
}

}  // namespace modelfs::fetch
