// pattern-reader: reads one large object of PatternBytes by several threads at once, each a stretch
// of its own from start to end, and checks every byte. Prints one JSON line; exits 1 where it is
// wrong.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/handle.h"
#include "tests/support/pattern.h"

namespace modelfs::test {
namespace {

constexpr std::uint64_t kRead = 1u << 20;

struct Flags {
  std::string file;
  std::uint64_t seed = 0;
  unsigned threads = 16;
};

/// False after it has said what was wrong.
bool ReadStretch(const Flags& flags, std::uint64_t begin, std::uint64_t end) {
  const Fd fd(::open(flags.file.c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<std::byte> buffer(kRead);
  while (begin < end) {
    const ssize_t n =
        ::pread(fd.get(), buffer.data(), std::min(kRead, end - begin), static_cast<off_t>(begin));
    if (n <= 0) {
      std::fprintf(stderr, "pattern-reader: at %llu: %s\n", static_cast<unsigned long long>(begin),
                   n == 0 ? "end of file" : std::strerror(errno));
      return false;
    }
    const std::span got = std::span(buffer).first(static_cast<std::size_t>(n));
    if (const auto wrong = PatternMismatch(flags.seed, begin, got)) {
      std::fprintf(stderr, "pattern-reader: WRONG BYTE at %llu\n",
                   static_cast<unsigned long long>(begin + *wrong));
      return false;
    }
    begin += static_cast<std::uint64_t>(n);
  }
  return true;
}

int Main(int argc, char** argv) {
  CLI::App app("Reads an object of pattern bytes by several threads, and checks it");
  Flags flags;
  app.add_option("--file", flags.file, "The file")->required();
  app.add_option("--seed", flags.seed, "Of its bytes")->required();
  app.add_option("--threads", flags.threads, "That read it")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  struct stat info{};
  if (::stat(flags.file.c_str(), &info) != 0) return 2;
  const auto size = static_cast<std::uint64_t>(info.st_size);
  const auto begun = std::chrono::steady_clock::now();
  std::atomic<bool> good{true};
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < flags.threads; ++i) {
      threads.emplace_back([&, i] {
        if (!ReadStretch(flags, size * i / flags.threads, size * (i + 1) / flags.threads)) {
          good = false;
        }
      });
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  const nlohmann::json summary{{"bytes", size}, {"elapsed_s", took.count()}, {"good", good.load()}};
  std::printf("%s\n", summary.dump().c_str());
  return good ? 0 : 1;
}

}  // namespace
}  // namespace modelfs::test

int main(int argc, char** argv) { return modelfs::test::Main(argc, argv); }
