#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "tests/fault/disk/cache_life.h"
#include "tests/fault/disk/faulty_disk.h"
#include "tests/fault/disk/forked_case.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {
namespace {

namespace fs = std::filesystem;
using index::IoBackend;

constexpr std::chrono::seconds kCaseLimit{120};
constexpr std::uint64_t kChunk = CacheLife::kChunk;

enum class Position : std::uint8_t { kFirst, kThird, kAlways, kHeals };

struct Case {
  IoBackend io;
  std::string site;
  DiskVerdict verdict;
  Position position;
};

std::string NameOf(Position position) {
  switch (position) {
    case Position::kFirst: return "first";
    case Position::kThird: return "third";
    case Position::kAlways: return "always";
    case Position::kHeals: return "heals";
  }
  return "";
}

std::string NameOf(const Case& c) {
  return std::string(c.io == IoBackend::kUring ? "uring" : "threads") + "/" + c.site + "/" +
         NameOf(c.verdict) + "/" + NameOf(c.position);
}

void PutObjects(CacheLife& life) {
  life.Put("a", 5 * kChunk + 777);
  life.Put("b", 3 * kChunk);
  life.Put("c", 4 * kChunk + 5);
  life.Put("d", 100);
  life.Put("e", 4 * kChunk);
  life.Put("f", 2 * kChunk);
}

/// A healthy cache that holds a, b and f, b pinned.
std::string Prepare(const fs::path& directory, IoBackend io) {
  CacheLife life(CacheLife::Options(directory, io));
  PutObjects(life);
  if (!life.Open()) return "cannot be opened";
  for (const char* key : {"a", "b", "f"}) life.KeepAll(key);
  if (!life.Pin("b", true)) return "cannot pin";
  return life.problem();
}

/// Everything that a cache does on its disk. Bytes must be right; what is kept, and what is
/// answered to those who pin, evict or verify, is another matter.
void DoEverything(CacheLife& life) {
  for (const char* key : {"a", "c", "d"}) life.ReadAll(key);
  life.ReadNow("a");
  life.FetchAll("c");
  life.Pin("c", true);
  life.Pin("c", false);
  life.Pin("e", true);  // Of which nothing is here.
  life.Pin("e", false);
  life.Evict({"f"});
  life.ReadAll("f");
  life.cache().SetLimits({.size_bytes = 7 * kChunk});
  for (const char* key : {"b", "c", "a"}) life.ReadAll(key);
  life.cache().SetLimits({});
  std::ignore = life.Verify();
  life.cache().Find(life.IdOf("a"));
  std::ignore = life.cache().records().Put(index::RecordKind::kListing, "key", "value");
  life.ReadAll("c");
}

/// After the disk works again.
void KeepsAgain(CacheLife& life) {
  if (!life.AwaitHealthy()) return;
  for (const std::string& key : life.keys()) life.KeepAll(key);
  life.AwaitQuiet();
  // Reserved space that was not given back would be missing here: only `e` fits, and what is left
  // may not be evicted.
  life.Pin("b", true);
  life.Evict({});
  if (life.cache().Find(life.IdOf("a"))) life.Problem("a was not evicted");
  constexpr std::uint64_t kBesides = 16 << 10;
  life.cache().SetLimits({.size_bytes = life.cache().Stats().allocated_bytes +
                                        4 * (kChunk + kBesides) + 2 * kBesides});
  life.KeepAll("e");
  life.cache().SetLimits({});
}

std::string FaultyLife(const Case& c, const fs::path& directory, FaultyDisk& disk) {
  CacheLife life(CacheLife::Options(directory, c.io));
  PutObjects(life);
  DiskFault fault{.site = c.site, .verdict = c.verdict};
  if (c.position == Position::kFirst || c.position == Position::kThird) fault.count = 1;
  if (c.position == Position::kThird) fault.first = 3;
  disk.Arm(fault);
  Error error{};
  if (!life.Open(&error)) {
    if (error.what.find(directory.string()) == std::string::npos) {
      return "an error that names no directory: " + error.what;
    }
    disk.Heal();
    if (!life.Open(&error)) return "cannot be opened after it has healed: " + error.what;
  }
  DoEverything(life);
  if (c.position != Position::kAlways) {
    disk.Heal();
    KeepsAgain(life);
  }
  life.AwaitQuiet();
  life.Close();
  return life.problem();
}

std::string LifeAfter(const Case& c, const fs::path& directory) {
  CacheLife life(CacheLife::Options(directory, c.io));
  PutObjects(life);
  Error error{};
  if (!life.Open(&error)) return "cannot be opened in the next life: " + error.what;
  for (const std::string& key : life.keys()) life.ReadAll(key);
  for (const std::string& key : life.keys()) life.KeepAll(key);
  const auto report = life.Verify();
  if (!report || report->bad_chunks > 0 || life.cache().Stats().quarantined_chunks > 0) {
    life.Problem("damage in the next life");
  }
  life.AwaitQuiet();
  life.CheckCounts();
  life.Close();
  if (!life.Open(&error)) return "cannot be opened once more: " + error.what;
  life.CheckCounts();
  for (const std::string& key : life.keys()) {
    const auto status = life.cache().Find(life.IdOf(key));
    if (!status || !status->whole) life.Problem(key + " is not whole once more");
  }
  return life.problem();
}

/// The number of times that the fault struck, a blank, and what went wrong.
std::string RunCase(const Case& c, const fs::path& prepared) {
  TempDir dir;
  const fs::path directory = dir.path() / "cache";
  fs::copy(prepared, directory, fs::copy_options::recursive);
  std::string problem;
  std::uint64_t struck = 0;
  {
    FaultyDisk disk(directory);
    problem = FaultyLife(c, directory, disk);
    struck = disk.struck();
  }
  if (problem.empty()) {
    problem = LifeAfter(c, directory);
    if (!problem.empty()) problem = "afterwards: " + problem;
  }
  return std::to_string(struck) + " " + problem;
}

/// The sites that a life without faults passes, and how often.
std::map<std::string, std::uint64_t> SitesOf(IoBackend io, const fs::path& prepared) {
  const auto said = RunForked(
      [&] {
        TempDir dir;
        const fs::path directory = dir.path() / "cache";
        fs::copy(prepared, directory, fs::copy_options::recursive);
        FaultyDisk disk(directory);
        const std::string problem = FaultyLife({io, "none", {}, Position::kFirst}, directory, disk);
        std::string text;
        for (const auto& [site, count] : disk.sites()) {
          text += std::to_string(count) + " " + site + "\n";
        }
        return problem.empty() ? text : "0 " + problem;
      },
      kCaseLimit);
  std::map<std::string, std::uint64_t> sites;
  std::istringstream lines(said.what);
  for (std::string line; std::getline(lines, line);) {
    const auto blank = line.find(' ');
    EXPECT_NE(line.substr(0, blank), "0") << "without a fault: " << line;
    sites[line.substr(blank + 1)] = std::strtoull(line.c_str(), nullptr, 10);
  }
  return sites;
}

std::vector<Case> CasesOf(IoBackend io, const std::map<std::string, std::uint64_t>& sites) {
  std::vector<Case> cases;
  for (const auto& [site, count] : sites) {
    for (const DiskVerdict& verdict : FaultsOf(site.substr(0, site.find(' ')))) {
      for (const Position position :
           {Position::kFirst, Position::kThird, Position::kAlways, Position::kHeals}) {
        if (position == Position::kThird && count < 4) continue;
        cases.push_back({io, site, verdict, position});
      }
    }
  }
  return cases;
}

/// Those of today, when only some are to be run: another slice each day.
std::vector<Case> SliceOf(std::vector<Case> cases) {
  const std::size_t amount = Amount("MODELFS_DISK_CASES", 300);
  const char* only = std::getenv("MODELFS_DISK_CASE");
  if (only != nullptr) {
    std::erase_if(cases, [&](const Case& c) { return NameOf(c).find(only) == std::string::npos; });
    return cases;
  }
  if (amount == 0 || amount >= cases.size()) return cases;
  const std::size_t step = (cases.size() + amount - 1) / amount;
  const auto day = static_cast<std::size_t>(std::time(nullptr) / 86'400);
  std::vector<Case> slice;
  for (std::size_t i = day % step; i < cases.size(); i += step) slice.push_back(cases[i]);
  return slice;
}

TEST(DiskFaultsTest, EachCallSiteMayFail) {
  TempDir dir;
  std::vector<Case> cases;
  nlohmann::json report;
  for (const IoBackend io : {IoBackend::kUring, IoBackend::kThreads}) {
    const fs::path prepared = dir.path() / (io == IoBackend::kUring ? "uring" : "threads");
    const auto made = RunForked([&] { return Prepare(prepared, io); }, kCaseLimit);
    ASSERT_TRUE(made.ok()) << made.what;
    const auto sites = SitesOf(io, prepared);
    ASSERT_GT(sites.size(), 20u);
    const auto more = CasesOf(io, sites);
    cases.insert(cases.end(), more.begin(), more.end());
  }
  const std::size_t all = cases.size();
  cases = SliceOf(std::move(cases));
  const auto begun = std::chrono::steady_clock::now();
  const auto results = RunForked(
      cases.size(),
      [&](std::size_t i) {
        return RunCase(cases[i],
                       dir.path() / (cases[i].io == IoBackend::kUring ? "uring" : "threads"));
      },
      kCaseLimit);
  std::size_t passed = 0;
  std::size_t unreached = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Case& c = cases[i];
    const bool good = results[i].what.ends_with(' ');
    const std::uint64_t struck = std::strtoull(results[i].what.c_str(), nullptr, 10);
    EXPECT_TRUE(good) << NameOf(c) << ": " << results[i].what;
    if (good && struck == 0) {
      ++unreached;
      continue;
    }
    passed += good ? 1 : 0;
    auto& place = report["sites"][c.site][NameOf(c.verdict)];
    if (place.is_null()) place = {{"passed", 0}, {"failed", 0}};
    auto& cell = place[good ? "passed" : "failed"];
    cell = cell.get<int>() + 1;
    if (!good) report["failures"][NameOf(c)] = results[i].what;
  }
  report["cases"] = cases.size() - unreached;
  report["cases_in_all"] = all;
  report["passed"] = passed;
  report["not_reached"] = unreached;
  report["seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  WriteReport("disk-faults.json", report.dump(2));
  std::cout << cases.size() - unreached << " cases of " << all << ", " << passed << " passed, "
            << unreached << " did not come to their fault\n";
}

}  // namespace
}  // namespace modelfs::test
