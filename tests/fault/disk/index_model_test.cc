#include "tests/fault/disk/index_model.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/fault/disk/forked_case.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {
namespace {

constexpr std::size_t kPerProcess = 25;
constexpr std::chrono::minutes kLimit{20};

std::string Play(const std::vector<ModelOp>& ops, std::uint64_t seed) {
  TempDir dir;
  return PlayOps(ops, dir.path() / "cache", seed);
}

/// Leaves out what the problem does not need.
std::string Shrink(std::vector<ModelOp> ops, std::uint64_t seed) {
  for (std::size_t length = ops.size() / 2; length > 0; length /= 2) {
    for (std::size_t at = 0; at + length <= ops.size();) {
      std::vector<ModelOp> fewer = ops;
      const auto begin = fewer.begin() + static_cast<std::ptrdiff_t>(at);
      fewer.erase(begin, begin + static_cast<std::ptrdiff_t>(length));
      if (Play(fewer, seed).empty()) {
        at += length;
      } else {
        ops = std::move(fewer);
      }
    }
  }
  std::string text = Play(ops, seed);
  for (const ModelOp& op : ops) text += "\n  " + Describe(op);
  return text;
}

TEST(IndexModelTest, IsWhatTheModelSays) {
  const std::size_t count = Amount("MODELFS_INDEX_SEQUENCES", 100);
  const std::uint64_t first =
      Amount("MODELFS_SEED", static_cast<std::size_t>(std::time(nullptr)) / 86'400 * 10'000);
  const auto begun = std::chrono::steady_clock::now();
  // A process plays several; it says which of them failed.
  const auto results = RunForked((count + kPerProcess - 1) / kPerProcess,
                                 [&](std::size_t i) {
                                   std::string failed;
                                   for (std::size_t j = i * kPerProcess;
                                        j < std::min(count, (i + 1) * kPerProcess); ++j) {
                                     const std::uint64_t seed = first + j;
                                     const std::string problem = Play(DrawOps(seed), seed);
                                     if (!problem.empty())
                                       failed += std::to_string(seed) + " " + problem + "\n";
                                   }
                                   return failed;
                                 },
                                 kLimit);
  std::size_t failures = 0;
  std::size_t operations = 0;
  for (std::size_t j = 0; j < count; ++j) operations += DrawOps(first + j).size();
  nlohmann::json report;
  for (const ForkedResult& result : results) {
    std::string rest = result.what;
    while (!rest.empty()) {
      const std::string line = rest.substr(0, rest.find('\n'));
      rest.erase(0, line.size() + 1);
      ++failures;
      const std::uint64_t seed = std::strtoull(line.c_str(), nullptr, 10);
      const std::string shrunk = failures <= 2 && seed > 0 ? Shrink(DrawOps(seed), seed) : "";
      ADD_FAILURE() << "MODELFS_SEED=" << seed << " MODELFS_INDEX_SEQUENCES=1: " << line
                    << (shrunk.empty() ? "" : "\nshrunk: ") << shrunk;
      report["failures"][std::to_string(seed)] = line;
    }
  }
  report["sequences"] = count;
  report["operations"] = operations;
  report["passed"] = count - std::min(count, failures);
  report["first_seed"] = first;
  report["seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  WriteReport("index-model.json", report.dump(2));
  std::cout << count << " sequences of " << operations << " operations, " << failures
            << " differed\n";
}

}  // namespace
}  // namespace modelfs::test
