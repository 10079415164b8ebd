#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "fetch/base/error.h"
#include "tests/bench/plan.h"

namespace modelfs::bench {

/// Reads a file by a plan, on the calling thread, and measures it.
struct FilePass {
  std::string path;
  bool by_mmap = false;                       ///< Else pread.
  std::optional<std::uint64_t> pattern_seed;  ///< Of PatternBytes, which a sample is compared with.
  std::uint64_t pattern_from = 0;             ///< Bytes before it are not compared.
  double most_seconds = 0;                    ///< No step begins later; 0: no limit.

  /// A page that cannot be had by mmap ends the process (SIGBUS).
  /// Errors: kIo, kCorrupt (a wrong byte), kInvalid (the plan does not fit the file).
  Result<nlohmann::json> Run(const Plan& plan) const;
};

/// Size of a file. The kernel has looked its name up then, so that a later open need not.
/// Errors: kIo.
Result<std::uint64_t> FileSize(const std::string& path);

/// Writes a file of `size` bytes: those of `head`, then PatternBytes of `seed` at their own offset.
/// Errors: kIo.
Result<void> WritePatternFile(const std::string& path, const std::string& head, std::uint64_t size,
                              std::uint64_t seed);

}  // namespace modelfs::bench
