// load-checker: keeps threads busy on a mounted tree, in all the ways that a file is read, until
// SIGTERM, and compares all that they see with a local copy. tests/support/README.md describes it.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"
#include "tests/support/mapping.h"

namespace modelfs::test {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kMostBytes = 1u << 20;  ///< Of one read.

struct Flags {
  std::string mount, reference, log;
  int threads = 8;
  std::uint64_t seed = 0;
  std::uint64_t slow_ms = 20;
};

std::atomic<bool> stop_now{false};

/// CLOCK_MONOTONIC, which other processes can compare with theirs.
std::uint64_t NowNs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// A failed page fault is a SIGBUS, and must say so.
void OnBusError(int) noexcept {
  constexpr char kText[] = "load-checker: SIGBUS at a mapped byte\n";
  static_cast<void>(!::write(STDERR_FILENO, kText, sizeof kText - 1));
  ::_exit(1);
}

struct ReferenceFile {
  std::string path;
  std::uint64_t size = 0;
  std::unique_ptr<Mapping> bytes;
};

/// The local copy: what a directory holds, what a file holds.
struct Reference {
  std::vector<ReferenceFile> files;
  std::map<std::string, std::set<std::string>> directories;  ///< By path below the top; "" is it.

  explicit Reference(const std::string& top) {
    namespace fs = std::filesystem;
    const auto relative = [&](const fs::path& path) {
      const std::string text = path.lexically_relative(top).string();
      return text == "." ? std::string() : text;
    };
    directories[""];
    for (const auto& entry : fs::recursive_directory_iterator(top)) {
      directories[relative(entry.path().parent_path())].insert(entry.path().filename());
      if (entry.is_directory()) {
        directories[relative(entry.path())];
        continue;
      }
      const Fd fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
      const std::uint64_t size = entry.file_size();
      files.push_back({relative(entry.path()), size, std::make_unique<Mapping>(fd.get(), 0, size)});
    }
  }
};

enum class Kind : std::uint8_t { kRead, kMapped, kDirect, kOpen, kStat, kList };
constexpr std::array kNames{"pread", "mmap", "direct", "open", "stat", "readdir"};

/// What all threads have found.
class Findings {
 public:
  Findings(std::FILE* log, std::uint64_t slow_ns) : log_(log), slow_ns_(slow_ns) {}

  void Fail(const std::string& text) {
    const MutexLock lock(mutex_);
    failed_ = true;
    stop_now = true;
    std::fprintf(stderr, "load-checker: %s\n", text.c_str());
  }
  bool failed() const { return failed_; }
  /// One operation that came out right.
  void Note(Kind kind, std::uint64_t begun, std::size_t thread, std::uint64_t bytes) {
    const std::uint64_t took = NowNs() - begun;
    const MutexLock lock(mutex_);
    took_ms_[static_cast<std::size_t>(kind)].push_back(static_cast<float>(took) / 1e6F);
    bytes_ += bytes;
    if (took < slow_ns_ || log_ == nullptr) return;
    fmt::print(log_, "{} {} {} {}\n", begun, took, thread, kNames[static_cast<std::size_t>(kind)]);
    std::fflush(log_);
  }
  nlohmann::json Summary() {
    const MutexLock lock(mutex_);
    nlohmann::json summary{{"bytes", bytes_}, {"failed", failed_.load()}};
    for (std::size_t kind = 0; kind < kNames.size(); ++kind) {
      std::vector<float>& took = took_ms_[kind];
      std::sort(took.begin(), took.end());
      const auto at = [&took](double share) -> double {
        if (took.empty()) return 0;
        return took[static_cast<std::size_t>(share * static_cast<double>(took.size() - 1))];
      };
      summary[kNames[kind]] = {
          {"count", took.size()}, {"p50_ms", at(0.5)}, {"p99_ms", at(0.99)}, {"max_ms", at(1)}};
    }
    return summary;
  }

 private:
  std::FILE* const log_;
  const std::uint64_t slow_ns_;
  Mutex mutex_;
  std::array<std::vector<float>, kNames.size()> took_ms_ GUARDED_BY(mutex_);
  std::uint64_t bytes_ GUARDED_BY(mutex_) = 0;
  std::atomic<bool> failed_{false};
};

/// One thread's work. It keeps a descriptor of each file that it has read: of every second for
/// good, so that the others can be evicted whole.
class Worker {
 public:
  Worker(const Flags& flags, const Reference& reference, Findings& findings, std::size_t thread)
      : mount_(flags.mount),
        reference_(reference),
        findings_(findings),
        thread_(thread),
        random_(flags.seed * 1000 + thread),
        held_(reference.files.size()),
        direct_(reference.files.size()),
        buffer_(static_cast<unsigned char*>(std::aligned_alloc(kPage, kMostBytes + kPage))) {}

  void Run() {
    // Reads of each way in every ten, and the rest of a program's life.
    constexpr std::array kMix{Kind::kRead,   Kind::kRead, Kind::kRead, Kind::kMapped, Kind::kMapped,
                              Kind::kDirect, Kind::kOpen, Kind::kOpen, Kind::kStat,   Kind::kList};
    while (!stop_now) Do(kMix[Below(kMix.size())]);
  }

 private:
  struct Place {
    std::size_t file;
    std::uint64_t offset;
    std::uint64_t size;
  };

  std::uint64_t Below(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
  }
  const ReferenceFile& File(std::size_t i) const { return reference_.files[i]; }

  /// Every second read is of the first file, which is the largest.
  Place AnyPlace() {
    const std::size_t file = Below(2) == 0 ? 0 : Below(reference_.files.size());
    const std::uint64_t size = File(file).size;
    const std::uint64_t length = std::min<std::uint64_t>(size, 1 + Below(kMostBytes));
    return {file, Below(size - length + 1), length};
  }

  void Do(Kind kind) {
    const Place place = AnyPlace();
    const std::uint64_t begun = NowNs();
    std::uint64_t bytes = 0;
    bool good = false;
    switch (kind) {
      case Kind::kRead: good = Read(place, held_, O_RDONLY, bytes); break;
      case Kind::kMapped: good = Touch(place, bytes); break;
      case Kind::kDirect: good = ReadDirect(place, bytes); break;
      case Kind::kOpen: good = OpenAndRead(place, bytes); break;
      case Kind::kStat: good = Stat(place.file); break;
      case Kind::kList: good = List(); break;
    }
    if (good) findings_.Note(kind, begun, thread_, bytes);
    if (place.file % 2 == 0) return;
    held_[place.file].Reset();
    direct_[place.file].Reset();
  }

  bool Failed(std::string_view what, const std::string& path, std::string_view how) {
    findings_.Fail(fmt::format("{} {}: {}", what, path, how));
    return false;
  }

  int Held(std::vector<Fd>& descriptors, std::size_t file, int flags) {
    Fd& fd = descriptors[file];
    if (!fd) {
      fd.Reset(::open(fmt::format("{}/{}", mount_, File(file).path).c_str(), flags | O_CLOEXEC));
    }
    if (!fd) Failed("open", File(file).path, std::strerror(errno));
    return fd.get();
  }

  bool Read(const Place& place, std::vector<Fd>& descriptors, int flags, std::uint64_t& bytes) {
    const int fd = Held(descriptors, place.file, flags);
    if (fd < 0) return false;
    // So that it reaches the daemon.
    ::posix_fadvise(fd, static_cast<off_t>(place.offset), static_cast<off_t>(place.size),
                    POSIX_FADV_DONTNEED);
    return ReadFrom(fd, place, bytes);
  }

  bool ReadFrom(int fd, const Place& place, std::uint64_t& bytes) {
    while (bytes < place.size) {
      const ssize_t n = ::pread(fd, buffer_.get() + bytes, place.size - bytes,
                                static_cast<off_t>(place.offset + bytes));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        return Failed("pread", File(place.file).path,
                      n == 0 ? "end of file" : std::strerror(errno));
      }
      bytes += static_cast<std::uint64_t>(n);
    }
    return Equal(buffer_.get(), place);
  }

  bool Equal(const unsigned char* got, const Place& place) {
    const unsigned char* const wanted = File(place.file).bytes->data() + place.offset;
    if (std::memcmp(got, wanted, place.size) == 0) return true;
    const auto wrong =
        static_cast<std::uint64_t>(std::mismatch(got, got + place.size, wanted).first - got);
    return Failed("WRONG BYTE", File(place.file).path, fmt::format("at {}", place.offset + wrong));
  }

  bool ReadDirect(Place place, std::uint64_t& bytes) {
    const int fd = Held(direct_, place.file, O_RDONLY | O_DIRECT);
    if (fd < 0) return false;
    place.offset = place.offset / kPage * kPage;
    const std::uint64_t wanted = (place.size + kPage - 1) / kPage * kPage;
    place.size = std::min(wanted, File(place.file).size - place.offset);
    while (bytes < place.size) {  // The last piece is asked for whole, and comes short.
      const ssize_t n = ::pread(fd, buffer_.get() + bytes, wanted - bytes,
                                static_cast<off_t>(place.offset + bytes));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        return Failed("direct read", File(place.file).path,
                      n == 0 ? "end of file" : std::strerror(errno));
      }
      bytes += static_cast<std::uint64_t>(n);
    }
    return Equal(buffer_.get(), place);
  }

  bool OpenAndRead(const Place& place, std::uint64_t& bytes) {
    std::vector<Fd> own(place.file + 1);
    return Read(place, own, O_RDONLY, bytes);
  }

  bool Touch(const Place& place, std::uint64_t& bytes) {
    const int fd = Held(held_, place.file, O_RDONLY);
    if (fd < 0) return false;
    const std::uint64_t begin = place.offset / kPage * kPage;
    ::posix_fadvise(fd, static_cast<off_t>(begin), static_cast<off_t>(place.size),
                    POSIX_FADV_DONTNEED);
    const Mapping window(fd, begin, place.offset + place.size - begin);
    if (!window) return Failed("mmap", File(place.file).path, std::strerror(errno));
    const unsigned char* const wanted = File(place.file).bytes->data() + begin;
    for (std::uint64_t i = place.offset - begin; i < place.offset - begin + place.size;
         i += kPage / 2) {
      const unsigned char seen = *static_cast<const volatile unsigned char*>(window.data() + i);
      if (seen != wanted[i]) {
        return Failed("WRONG MAPPED BYTE", File(place.file).path, fmt::format("at {}", begin + i));
      }
      ++bytes;
    }
    return true;
  }

  bool Stat(std::size_t file) {
    struct stat info{};
    if (::stat(fmt::format("{}/{}", mount_, File(file).path).c_str(), &info) != 0) {
      return Failed("stat", File(file).path, std::strerror(errno));
    }
    const bool good =
        S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) == File(file).size;
    return good || Failed("stat", File(file).path, "is another file");
  }

  bool List() {
    auto any = reference_.directories.begin();
    std::advance(any, static_cast<std::ptrdiff_t>(Below(reference_.directories.size())));
    const Handle<DIR, ::closedir> directory(
        ::opendir(fmt::format("{}/{}", mount_, any->first).c_str()));
    if (!directory) return Failed("opendir", any->first, std::strerror(errno));
    std::set<std::string> seen;
    errno = 0;
    while (const dirent* entry = ::readdir(directory.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") seen.insert(name);
    }
    if (errno != 0) return Failed("readdir", any->first, std::strerror(errno));
    return seen == any->second || Failed("readdir", any->first, "lists something else");
  }

  const std::string mount_;
  const Reference& reference_;
  Findings& findings_;
  const std::size_t thread_;
  std::mt19937_64 random_;
  std::vector<Fd> held_, direct_;
  const Handle<unsigned char, std::free> buffer_;
};

int Main(int argc, char** argv) {
  CLI::App app("Reads a mounted tree in all ways until SIGTERM, and compares it with a local copy");
  Flags flags;
  app.add_option("--mount", flags.mount, "A folder of the mount")->required();
  app.add_option("--reference", flags.reference, "A local copy of it")->required();
  app.add_option("--log", flags.log,
                 "File for slow operations: begin and time in ns, thread, kind");
  app.add_option("--slow-ms", flags.slow_ms, "What counts as slow")->capture_default_str();
  app.add_option("--threads", flags.threads, "That work")->capture_default_str();
  app.add_option("--seed", flags.seed, "Of the random numbers");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  ::signal(SIGBUS, &OnBusError);
  ::signal(SIGTERM, [](int) { stop_now = true; });
  Reference reference(flags.reference);
  std::sort(reference.files.begin(), reference.files.end(),
            [](const auto& a, const auto& b) { return a.size > b.size; });
  const Handle<std::FILE, std::fclose> log(flags.log.empty() ? nullptr
                                                             : std::fopen(flags.log.c_str(), "w"));
  Findings findings(log.get(), flags.slow_ms * 1'000'000);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < flags.threads; ++i) {
      threads.emplace_back(
          [&, i] { Worker(flags, reference, findings, static_cast<std::size_t>(i)).Run(); });
    }
  }
  std::printf("%s\n", findings.Summary().dump().c_str());
  return findings.failed() ? 1 : 0;
}

}  // namespace
}  // namespace modelfs::test

int main(int argc, char** argv) { return modelfs::test::Main(argc, argv); }
