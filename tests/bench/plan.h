#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "fetch/base/error.h"

namespace modelfs::bench {

/// One read of a pass, and what is computed on it before the next begins.
struct Step {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::chrono::microseconds compute{0};
};

using Plan = std::vector<Step>;

/// All `size` bytes in order, `block` bytes a step.
Plan InOrder(std::uint64_t size, std::uint64_t block);
/// The same steps in an order that `seed` names.
Plan Shuffled(std::uint64_t size, std::uint64_t block, std::uint64_t seed);
/// What one of eight tensor-parallel ranks reads of matrices that are split by columns: the part
/// `rank` of each row, rows of `stripe` bytes, parts of `block` bytes.
Plan OfRank(std::uint64_t size, std::uint64_t stripe, std::uint64_t block, std::uint64_t rank);
/// `count` different blocks, or as many as there are, at random places.
Plan AtRandom(std::uint64_t size, std::uint64_t block, std::size_t count, std::uint64_t seed);
/// Reads a file of lines `OFFSET SIZE COMPUTE_US`.
/// Errors: kIo, kInvalid.
Result<Plan> PlanOfFile(const std::string& path);

}  // namespace modelfs::bench
