// read-checker: compares random reads and mmap touches of a mounted file with a local copy.
// Prints one JSON line; exits 1 on the first mismatch or failed read, naming its offset.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"
#include "fetch/base/size.h"
#include "tests/support/mapping.h"

namespace modelfs::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Flags {
  std::string file, reference, min = "1", max = "4MiB";
  std::uint64_t count = 200'000;
  int threads = 8;
  int sequential_threads = 0;
  std::uint64_t seed = 0;
  double mmap_share = 0.3;
};

// The mapped byte that this thread touches: a failed page fault is a SIGBUS, and must say where.
thread_local volatile std::uint64_t touched_offset = 0;

void OnBusError(int) noexcept {
  char text[] = "read-checker: SIGBUS at mapped byte 00000000000000000000\n";
  char* digit = text + sizeof text - 2;
  for (std::uint64_t rest = touched_offset; rest > 0; rest /= 10) {
    *--digit = static_cast<char>('0' + rest % 10);
  }
  static_cast<void>(!::write(STDERR_FILENO, text, sizeof text - 1));
  ::_exit(1);
}

/// What all threads have found.
class Findings {
 public:
  void Fail(const std::string& text) {
    const MutexLock lock(mutex_);
    failed_ = true;
    ++mismatches_;
    if (mismatches_ <= 10) std::fprintf(stderr, "read-checker: %s\n", text.c_str());
  }
  bool failed() const { return failed_; }
  void Add(std::vector<float>&& latencies_us, std::uint64_t bytes) {
    const MutexLock lock(mutex_);
    latencies_us_.insert(latencies_us_.end(), latencies_us.begin(), latencies_us.end());
    bytes_ += bytes;
  }
  nlohmann::json Summary() {
    const MutexLock lock(mutex_);
    std::vector<float> sorted = latencies_us_;
    std::sort(sorted.begin(), sorted.end());
    const auto at = [&sorted](double share) -> double {
      if (sorted.empty()) return 0;
      return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
    };
    return {{"reads", latencies_us_.size()},
            {"bytes", bytes_},
            {"mismatches", mismatches_},
            {"p50_us", at(0.5)},
            {"p99_us", at(0.99)},
            {"max_us", at(1)}};
  }

 private:
  Mutex mutex_;
  std::vector<float> latencies_us_ GUARDED_BY(mutex_);
  std::uint64_t bytes_ GUARDED_BY(mutex_) = 0;
  std::uint64_t mismatches_ GUARDED_BY(mutex_) = 0;
  std::atomic<bool> failed_{false};
};

/// One thread's reads. Each has a descriptor of its own, as separate programs would.
class Reader {
 public:
  struct Options {
    std::string file;
    const unsigned char* reference = nullptr;
    std::uint64_t size = 0;
    std::uint64_t min = 1, max = 1;
    double mmap_share = 0;
    std::uint64_t seed = 0;
  };

  Reader(Options options, Findings& findings)
      : options_(std::move(options)),
        findings_(findings),
        random_(options_.seed),
        fd_(::open(options_.file.c_str(), O_RDONLY | O_CLOEXEC)),
        buffer_(std::max(options_.max, kSequentialRead)) {
    if (!fd_) findings_.Fail(fmt::format("open {}: {}", options_.file, std::strerror(errno)));
  }
  ~Reader() { findings_.Add(std::move(latencies_us_), bytes_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void RandomReads(std::uint64_t count) {
    std::uniform_real_distribution<double> share(0, 1);
    const double low = std::log(static_cast<double>(options_.min));
    const double high = std::log(static_cast<double>(options_.max) + 1);
    std::uniform_real_distribution<double> log_size(low, high);
    for (std::uint64_t i = 0; i < count && !findings_.failed(); ++i) {
      const auto wanted = static_cast<std::uint64_t>(std::exp(log_size(random_)));
      const std::uint64_t size =
          std::min(std::clamp(wanted, options_.min, options_.max), options_.size);
      const std::uint64_t offset = Below(options_.size - size + 1);
      if (share(random_) < options_.mmap_share) {
        Touch(offset, size);
      } else {
        Read(offset, size);
      }
    }
  }

  void WholeFile() {
    for (std::uint64_t offset = 0; offset < options_.size && !findings_.failed();) {
      const std::uint64_t n = std::min(kSequentialRead, options_.size - offset);
      Read(offset, n);
      offset += n;
    }
    // A read at the end must say that it is the end.
    if (::pread(fd_.get(), buffer_.data(), 1, static_cast<off_t>(options_.size)) != 0) {
      findings_.Fail("a read at the end of the file gave bytes");
    }
  }

 private:
  static constexpr std::uint64_t kSequentialRead = 1u << 20;

  std::uint64_t Below(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
  }

  void Note(Clock::time_point start, std::uint64_t bytes) {
    latencies_us_.push_back(std::chrono::duration<float, std::micro>(Clock::now() - start).count());
    bytes_ += bytes;
  }

  void Read(std::uint64_t offset, std::uint64_t size) {
    const Clock::time_point start = Clock::now();
    std::uint64_t done = 0;
    while (done < size) {
      const ssize_t n =
          ::pread(fd_.get(), buffer_.data() + done, size - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        findings_.Fail(fmt::format("pread of {} bytes at {} after {}: {}", size, offset, done,
                                   n == 0 ? "end of file" : std::strerror(errno)));
        return;
      }
      done += static_cast<std::uint64_t>(n);
    }
    Note(start, size);
    Compare(buffer_.data(), offset, size);
  }

  /// Maps a window and touches up to 64 bytes of it in random order, and its first and last.
  void Touch(std::uint64_t offset, std::uint64_t size) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const std::uint64_t begin = offset / page * page;
    const Clock::time_point start = Clock::now();
    const Mapping window(fd_.get(), begin, offset + size - begin);
    if (!window) {
      findings_.Fail(fmt::format("mmap of {} bytes at {}: {}", size, begin, std::strerror(errno)));
      return;
    }
    const unsigned char* const data = window.data() + (offset - begin);
    const std::uint64_t touches = std::min<std::uint64_t>(size, 64);
    for (std::uint64_t i = 0; i < touches; ++i) {
      const std::uint64_t at = i == 0 ? 0 : i == 1 ? size - 1 : Below(size);
      touched_offset = offset + at;
      const unsigned char seen = *static_cast<const volatile unsigned char*>(data + at);
      if (seen != options_.reference[offset + at]) {
        findings_.Fail(fmt::format("mapped byte {} is {:#04x}, not {:#04x} (seed {})", offset + at,
                                   seen, options_.reference[offset + at], options_.seed));
        return;
      }
    }
    Note(start, touches);
  }

  void Compare(const unsigned char* bytes, std::uint64_t offset, std::uint64_t size) {
    const unsigned char* const expected = options_.reference + offset;
    if (std::memcmp(bytes, expected, size) == 0) return;
    const auto [wrong, right] = std::mismatch(bytes, bytes + size, expected);
    findings_.Fail(fmt::format("byte {} is {:#04x}, not {:#04x} (pread of {} bytes at {}, seed {})",
                               offset + static_cast<std::uint64_t>(wrong - bytes), *wrong, *right,
                               size, offset, options_.seed));
  }

  const Options options_;
  Findings& findings_;
  std::mt19937_64 random_;
  const Fd fd_;
  std::vector<unsigned char> buffer_;
  std::vector<float> latencies_us_;
  std::uint64_t bytes_ = 0;
};

void Declare(CLI::App& app, Flags& flags) {
  app.add_option("--file", flags.file, "The file to check")->required();
  app.add_option("--reference", flags.reference, "A local copy of it")->required();
  app.add_option("--count", flags.count, "Random reads and touches")->capture_default_str();
  app.add_option("--threads", flags.threads, "That make them")->capture_default_str();
  app.add_option("--sequential-threads", flags.sequential_threads,
                 "Further threads that read it all from the start")
      ->capture_default_str();
  app.add_option("--seed", flags.seed, "Of the random numbers; 0: from the clock");
  app.add_option("--min", flags.min, "Smallest read")->capture_default_str();
  app.add_option("--max", flags.max, "Largest read; sizes are log-uniform")->capture_default_str();
  app.add_option("--mmap-share", flags.mmap_share, "Of the reads that are mmap touches")
      ->capture_default_str();
}

int Usage(const std::string& text) {
  std::fprintf(stderr, "read-checker: %s\n", text.c_str());
  return 2;
}

int Check(const Flags& flags, const Reader::Options& options) {
  Findings findings;
  const Clock::time_point start = Clock::now();
  {
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<std::size_t>(flags.threads + flags.sequential_threads));
    for (int i = 0; i < flags.threads + flags.sequential_threads; ++i) {
      threads.emplace_back([&, i] {
        Reader::Options own = options;
        own.seed = flags.seed * 1000 + static_cast<std::uint64_t>(i);
        Reader reader(std::move(own), findings);
        if (findings.failed()) return;
        const auto workers = static_cast<std::uint64_t>(flags.threads);
        if (i >= flags.threads) {
          reader.WholeFile();
        } else if (options.size > 0) {
          reader.RandomReads(flags.count / workers +
                             (static_cast<std::uint64_t>(i) < flags.count % workers ? 1 : 0));
        }
      });
    }
  }
  nlohmann::json summary = findings.Summary();
  summary["seed"] = flags.seed;
  summary["count"] = flags.count;
  summary["elapsed_s"] = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("%s\n", summary.dump().c_str());
  return findings.failed() ? 1 : 0;
}

int Main(int argc, char** argv) {
  CLI::App app("Compares random reads of a file with a local copy");
  Flags flags;
  Declare(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (flags.seed == 0) flags.seed = std::random_device()();
  ::signal(SIGBUS, &OnBusError);
  const auto min = ParseSize(flags.min), max = ParseSize(flags.max);
  if (!min || !max || *min == 0 || *max < *min) return Usage("bad --min or --max");
  if (flags.threads < 0 || flags.sequential_threads < 0) return Usage("bad number of threads");
  const Fd reference(::open(flags.reference.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat expected{}, actual{};
  if (!reference || ::fstat(reference.get(), &expected) != 0) {
    return Usage("cannot open " + flags.reference);
  }
  if (::stat(flags.file.c_str(), &actual) != 0 || actual.st_size != expected.st_size) {
    std::fprintf(stderr, "read-checker: %s: no such file, or of another size than the reference\n",
                 flags.file.c_str());
    return 1;
  }
  const auto size = static_cast<std::uint64_t>(expected.st_size);
  // An empty file cannot be mapped, and needs no bytes to compare with.
  const Mapping bytes(reference.get(), 0, std::max<std::uint64_t>(size, 1));
  if (!bytes && size > 0) return Usage("cannot map " + flags.reference);
  return Check(flags, {.file = flags.file,
                       .reference = bytes.data(),
                       .size = size,
                       .min = *min,
                       .max = *max,
                       .mmap_share = flags.mmap_share});
}

}  // namespace
}  // namespace modelfs::test

int main(int argc, char** argv) { return modelfs::test::Main(argc, argv); }
