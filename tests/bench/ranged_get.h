#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "fetch/base/error.h"
#include "tests/bench/plan.h"

namespace modelfs::bench {

/// What the link itself gives: ranged GETs of an object whose bytes are thrown away.
struct RangedGet {
  std::string url;
  unsigned connections = 1;  ///< Threads, each with a connection of its own.

  /// One GET per step of `plan`, each by whichever connection is free. Connections are made, and
  /// have carried one byte, before time begins.
  /// Errors: kTransient, kInvalid (an answer that is not 206).
  Result<nlohmann::json> Run(const Plan& plan) const;

  /// By a HEAD request.
  /// Errors: kTransient, kInvalid.
  Result<std::uint64_t> Size() const;
};

}  // namespace modelfs::bench
