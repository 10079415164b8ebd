// bench-reader: the reading part of the benchmarks, so that they do not measure Python. Does one
// pass over a file or an object and prints one JSON line; README.md lists the patterns.
#include <curl/curl.h>
#include <dirent.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "fetch/base/handle.h"
#include "tests/bench/file_pass.h"
#include "tests/bench/measurement.h"
#include "tests/bench/ranged_get.h"

namespace modelfs::bench {
namespace {

struct Flags {
  std::string pattern;
  FilePass pass;
  std::uint64_t block = 0;
  std::uint64_t stripe = 512 << 10;
  std::uint64_t rank = 0;
  std::size_t count = 60;
  std::uint64_t seed = 1;
  std::uint64_t size = 0;
  unsigned connections = 8;
  std::string plan, head;
};

/// The steps of the pattern, and with them whether they are read by mmap.
Result<Plan> MakePlan(Flags& flags, std::uint64_t size) {
  const auto block = [&](std::uint64_t usual) { return flags.block > 0 ? flags.block : usual; };
  const std::string& pattern = flags.pattern;
  if (pattern == "sequential" || pattern == "get") return InOrder(size, block(1 << 20));
  if (pattern == "random" || pattern == "get-random") {
    return AtRandom(size, block(256 << 10), flags.count, flags.seed);
  }
  if (pattern == "first") return Plan{{.offset = 0, .size = std::min(size, block(4096))}};
  flags.pass.by_mmap = true;
  if (pattern == "sweep") return InOrder(size, block(1 << 20));
  if (pattern == "tensors") return Shuffled(size, block(4 << 20), flags.seed);
  if (pattern == "rank") return OfRank(size, flags.stripe, block(64 << 10), flags.rank);
  return PlanOfFile(flags.plan);
}

Result<nlohmann::json> List(const std::string& path) {
  Measurement measurement;
  const Handle<DIR, closedir> folder(::opendir(path.c_str()));
  if (!folder) return FailErrno(errno, "open " + path);
  measurement.Opened();
  std::uint64_t entries = 0;
  errno = 0;
  while (::readdir(folder.get()) != nullptr) ++entries;
  if (errno != 0) return FailErrno(errno, "list " + path);
  nlohmann::json summary = measurement.Summary(0);
  summary["entries"] = entries;
  return summary;
}

Result<nlohmann::json> Make(const Flags& flags) {
  std::string head;
  if (!flags.head.empty()) {
    std::ifstream in(flags.head, std::ios::binary);
    if (!in) return Fail(Errc::kIo, "cannot read " + flags.head);
    head.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto made = WritePatternFile(flags.pass.path, head, flags.size, flags.seed);
  if (!made) return std::unexpected(made.error());
  return nlohmann::json{{"bytes", flags.size}};
}

Result<nlohmann::json> Run(Flags& flags) {
  if (flags.pattern == "list") return List(flags.pass.path);
  if (flags.pattern == "make") return Make(flags);
  if (flags.pattern.starts_with("get")) {
    const unsigned connections = flags.pattern == "get" ? flags.connections : 1;
    const RangedGet get{.url = flags.pass.path, .connections = connections};
    const auto size = get.Size();
    if (!size) return std::unexpected(size.error());
    const auto plan = MakePlan(flags, *size);
    if (!plan) return std::unexpected(plan.error());
    return get.Run(*plan);
  }
  const auto size = FileSize(flags.pass.path);
  if (!size) return std::unexpected(size.error());
  const auto plan = MakePlan(flags, *size);
  if (!plan) return std::unexpected(plan.error());
  return flags.pass.Run(*plan);
}

void Declare(CLI::App& app, Flags& flags) {
  app.add_option("pattern", flags.pattern)
      ->required()
      ->check(CLI::IsMember({"sequential", "sweep", "tensors", "rank", "random", "first", "plan",
                             "get", "get-random", "list", "make"}));
  app.add_option("file", flags.pass.path, "File, folder (list) or URL (get)")->required();
  app.add_option("--block", flags.block, "Bytes of a step")->transform(CLI::AsSizeValue(false));
  app.add_option("--stripe", flags.stripe, "rank: bytes of a row")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--rank", flags.rank, "rank: which of the eight");
  app.add_option("--count", flags.count, "random: steps");
  app.add_option("--seed", flags.seed, "Of random places, or of the bytes of `make`");
  app.add_option("--size", flags.size, "make: bytes")->transform(CLI::AsSizeValue(false));
  app.add_option("--head", flags.head, "make: file of the first bytes");
  app.add_option("--plan", flags.plan, "plan: file of lines OFFSET SIZE COMPUTE_US");
  app.add_option("--connections", flags.connections, "get: at once");
  app.add_option("--check-seed", flags.pass.pattern_seed, "Compare with this pattern");
  app.add_option("--check-from", flags.pass.pattern_from, "But not the bytes before this one");
  app.add_option("--most-seconds", flags.pass.most_seconds, "No step begins later");
}

int Main(int argc, char** argv) {
  CLI::App app("Reads as a loader of models does, and says how long it took");
  Flags flags;
  Declare(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  const auto summary = Run(flags);
  if (!summary) {
    std::fprintf(stderr, "bench-reader: %s\n", summary.error().what.c_str());
    return 1;
  }
  std::printf("%s\n", summary->dump().c_str());
  return 0;
}

}  // namespace
}  // namespace modelfs::bench

int main(int argc, char** argv) { return modelfs::bench::Main(argc, argv); }
