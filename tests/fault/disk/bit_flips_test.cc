#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "fetch/base/handle.h"
#include "tests/fault/disk/cache_life.h"
#include "tests/fault/disk/forked_case.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kChunk = CacheLife::kChunk;
constexpr std::chrono::seconds kStartLimit{30};
/// So often a caller may have to start again until the cache is up.
constexpr int kMostStarts = 3;

void PutObjects(CacheLife& life) {
  life.Put("a", 3 * kChunk + 777);
  life.Put("b", 2 * kChunk);
  life.Put("c", 100);
  // Enough for an index of several levels.
  for (int i = 0; i < 60; ++i) life.Put("small" + std::to_string(i), 10 + i);
}

index::Cache::Options Options(const fs::path& directory) {
  return CacheLife::Options(directory, index::IoBackend::kThreads);
}

/// A cache with all objects and many records; left as by an orderly close, or as by a kill.
std::string Prepare(const fs::path& directory, const fs::path& killed) {
  CacheLife life(Options(directory));
  PutObjects(life);
  if (!life.Open()) return "cannot be opened";
  for (const std::string& key : life.keys()) life.KeepAll(key);
  auto& records = life.cache().records();
  for (int i = 0; i < 300; ++i) {
    const std::string key = "record" + std::to_string(i);
    std::ignore = records.Put(index::RecordKind::kListing, key, std::string(i * 7, 'v'));
  }
  std::ignore = records.Put(index::RecordKind::kListing, "large", std::string(50'000, 'l'));
  for (int i = 0; i < 300; i += 3) {
    records.Erase(index::RecordKind::kListing, "record" + std::to_string(i));
  }
  life.Pin("a", true);
  life.AwaitQuiet();
  life.Pin("b", true);  // Whose answer means that all before is committed.
  fs::copy(directory, killed, fs::copy_options::recursive);
  life.Close();
  return life.problem();
}

/// What is done to which file.
struct Damage {
  std::string file;  ///< "data", "map", "data.mdb", ...
  std::string how;
};

std::vector<fs::path> FilesOf(const fs::path& directory, const std::string& kind) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const bool fits = entry.is_regular_file() && entry.path().filename() == kind;
    if (fits && entry.file_size() > 0) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void Change(const fs::path& file, std::uint64_t at, const std::vector<unsigned char>& bytes) {
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  static_cast<void>(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)));
}

/// One to eight bits, a page of noise, a page from elsewhere in the file, zeros, or a cut.
std::string DamageFile(const fs::path& file, std::mt19937_64& chance) {
  const std::uint64_t size = fs::file_size(file);
  const auto below = [&](std::uint64_t n) { return chance() % n; };
  // Pages in use are mostly at the beginning, and of those their heads matter most.
  const auto place = [&] {
    std::uint64_t at = below(size);
    if (below(2) == 0) at = at / 4096 * 4096 + below(64);
    return std::min(at, size - 1);
  };
  switch (below(8)) {
    case 0: {
      const std::uint64_t length = below(2) == 0 ? below(size) : below(size) / 4096 * 4096;
      fs::resize_file(file, length);
      return "cut";
    }
    case 1: {
      std::vector<unsigned char> noise(4096);
      for (auto& byte : noise) byte = static_cast<unsigned char>(chance());
      const std::uint64_t at = below(size) / 4096 * 4096;
      noise.resize(std::min<std::uint64_t>(noise.size(), size - at));
      Change(file, at, noise);
      return "noise";
    }
    case 2: {
      const std::uint64_t at = below(size) / 512 * 512;
      Change(file, at, std::vector<unsigned char>(std::min<std::uint64_t>(512, size - at), 0));
      return "zeros";
    }
    case 3: {
      std::vector<unsigned char> page(std::min<std::uint64_t>(4096, size));
      const Fd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
      const auto from = static_cast<off_t>(below(size) / 4096 * 4096);
      const ssize_t n = ::pread(fd.get(), page.data(), page.size(), from);
      const std::uint64_t to = below(size) / 4096 * 4096;
      page.resize(
          std::min<std::uint64_t>(static_cast<std::uint64_t>(std::max<ssize_t>(n, 0)), size - to));
      Change(file, to, page);
      return "moved";
    }
    default: {
      const std::uint64_t flips = below(2) == 0 ? 1 : 1 + below(8);
      for (std::uint64_t i = 0; i < flips; ++i) {
        const std::uint64_t at = place();
        unsigned char byte = 0;
        const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        static_cast<void>(::pread(fd.get(), &byte, 1, static_cast<off_t>(at)));
        Change(file, at, {static_cast<unsigned char>(byte ^ (1u << below(8)))});
      }
      return "flips";
    }
  }
}

/// One life on the damaged directory: opens, reads everything, writes to every table.
std::string Live(const fs::path& directory) {
  CacheLife life(Options(directory));
  PutObjects(life);
  life.Put("new", kChunk + 1);
  Error error{};
  if (!life.Open(&error)) return "cannot be opened: " + error.what;
  for (const std::string& key : life.keys()) life.ReadAll(key);
  for (const char* key : {"a", "b", "c", "new"}) life.KeepAll(key);
  auto& records = life.cache().records();
  for (int i = 0; i < 300; ++i) {
    const std::string key = "record" + std::to_string(i);
    if (const auto value = records.Get(index::RecordKind::kListing, key);
        value && *value != std::string(i * 7, 'v')) {
      life.Problem("a record has another value");
    }
    std::ignore = records.Put(index::RecordKind::kListing, key, std::string(i * 5, 'w'));
  }
  for (const auto& key : records.Keys(index::RecordKind::kListing, "")) {
    if (!key.starts_with("record") && key != "large") life.Problem("a record of another key");
  }
  life.Pin("b", false);
  life.Evict({"c"});
  std::ignore = life.Verify();
  life.AwaitQuiet();
  life.Pin("c", true);
  life.Close();
  return life.problem();
}

/// "", or what went wrong. `story`: what was done, and how many starts it took.
std::string RunCase(std::uint64_t seed, const fs::path& closed, const fs::path& killed) {
  std::mt19937_64 chance(seed);
  TempDir dir;
  const fs::path directory = dir.path() / "cache";
  const bool orderly = chance() % 3 == 0;
  fs::copy(orderly ? closed : killed, directory, fs::copy_options::recursive);
  static const std::vector<std::string> kKinds{"data.mdb", "data.mdb", "data.mdb", "map",   "data",
                                               "lock.mdb", "stamp",    "mark",     "FORMAT"};
  std::string kind;
  std::vector<fs::path> files;
  while (files.empty()) {
    kind = kKinds[chance() % kKinds.size()];
    files = FilesOf(directory, kind);
  }
  // FORMAT is the one file that is asked for help, not mended: see below.
  const std::string how = DamageFile(files[chance() % files.size()], chance);
  std::string story = (orderly ? "closed/" : "killed/") + kind + "/" + how + " ";
  for (int start = 1; start <= kMostStarts + 1; ++start) {
    const ForkedResult life = RunForked([&] { return Live(directory); }, kStartLimit);
    if (life.ok()) return story + std::to_string(start) + " ";
    const bool format = kind == "FORMAT" && life.what.find("FORMAT") != std::string::npos;
    const bool version = kind == "FORMAT" && life.what.find("has format") != std::string::npos;
    if (format || version) return story + std::to_string(start) + " ";  // Says what to do.
    // Ended by LMDB, or by its endless loop: the caller starts again.
    if (life.signal == 0 || start > kMostStarts) return story + "0 " + life.what;
  }
  return story + "0 never came up";
}

TEST(BitFlipsTest, NeverAWrongByte) {
  TempDir dir;
  const fs::path closed = dir.path() / "closed";
  const fs::path killed = dir.path() / "killed";
  const auto made = RunForked([&] { return Prepare(closed, killed); }, kStartLimit * 2);
  ASSERT_TRUE(made.ok()) << made.what;
  const std::size_t count = Amount("MODELFS_BIT_FLIPS", 150);
  const std::uint64_t first =
      Amount("MODELFS_SEED", static_cast<std::size_t>(std::time(nullptr)) / 86'400 * 10'000);
  const auto begun = std::chrono::steady_clock::now();
  const auto results = RunForked(
      count, [&](std::size_t i) { return RunCase(first + i, closed, killed); },
      kStartLimit * (kMostStarts + 2));
  nlohmann::json report;
  std::size_t passed = 0;
  std::size_t brought_down = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& what = results[i].what;
    const bool good = what.ends_with(' ');
    EXPECT_TRUE(good) << "MODELFS_SEED=" << first + i << " MODELFS_BIT_FLIPS=1: " << what;
    passed += good ? 1 : 0;
    const auto blank = what.find(' ');
    const std::string place = what.substr(0, blank);
    const int starts = blank == std::string::npos ? 0 : std::atoi(what.c_str() + blank);
    brought_down += starts > 1 ? 1 : 0;
    auto& cell = report["damage"][place];
    cell = cell.is_null() ? 1 : cell.get<int>() + 1;
    if (!good) report["failures"][std::to_string(first + i)] = what;
  }
  report["cases"] = count;
  report["passed"] = passed;
  report["first_seed"] = first;
  report["processes_brought_down"] = brought_down;
  report["seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  WriteReport("bit-flips.json", report.dump(2));
  std::cout << count << " cases, " << passed << " passed, in " << brought_down
            << " a process was brought down\n";
}

}  // namespace
}  // namespace modelfs::test
