#include "tests/bench/plan.h"

#include <algorithm>
#include <fstream>
#include <random>

namespace modelfs::bench {

Plan InOrder(std::uint64_t size, std::uint64_t block) {
  Plan plan;
  plan.reserve(size / block + 1);
  for (std::uint64_t at = 0; at < size; at += block) {
    plan.push_back({.offset = at, .size = std::min(block, size - at)});
  }
  return plan;
}

Plan Shuffled(std::uint64_t size, std::uint64_t block, std::uint64_t seed) {
  Plan plan = InOrder(size, block);
  std::mt19937_64 random(seed);
  std::ranges::shuffle(plan, random);
  return plan;
}

Plan OfRank(std::uint64_t size, std::uint64_t stripe, std::uint64_t block, std::uint64_t rank) {
  Plan plan;
  for (std::uint64_t at = rank * block; at + block <= size; at += stripe) {
    plan.push_back({.offset = at, .size = block});
  }
  return plan;
}

Plan AtRandom(std::uint64_t size, std::uint64_t block, std::size_t count, std::uint64_t seed) {
  Plan plan = Shuffled(size / block * block, block, seed);
  if (plan.size() > count) plan.resize(count);
  return plan;
}

Result<Plan> PlanOfFile(const std::string& path) {
  std::ifstream in(path);
  if (!in) return Fail(Errc::kIo, "cannot read " + path);
  Plan plan;
  Step step;
  std::int64_t compute = 0;
  while (in >> step.offset >> step.size >> compute) {
    step.compute = std::chrono::microseconds(compute);
    plan.push_back(step);
  }
  if (!in.eof() || plan.empty()) return Fail(Errc::kInvalid, path + ": no plan");
  return plan;
}

}  // namespace modelfs::bench
