#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tests/fault/disk/cache_life.h"
#include "tests/fault/disk/disk_recorder.h"
#include "tests/fault/disk/forked_case.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kChunk = CacheLife::kChunk;
constexpr std::chrono::seconds kLimit{60};
constexpr std::size_t kImagesPerRun = 30;
constexpr double kQuickSeconds = 2;

void PutObjects(CacheLife& life) {
  life.Put("a", 5 * kChunk + 777);
  life.Put("b", 3 * kChunk);
  life.Put("c", 4 * kChunk + 5);
  life.Put("d", 100);
  life.Put("e", 2 * kChunk);
  life.Put("f", kChunk);
}

index::Cache::Options Options(const fs::path& directory) {
  return CacheLife::Options(directory, index::IoBackend::kThreads);
}

std::string Prepare(const fs::path& directory) {
  CacheLife life(Options(directory));
  PutObjects(life);
  if (!life.Open()) return "cannot be opened";
  for (const char* key : {"a", "f"}) life.KeepAll(key);
  life.Pin("f", true);
  return life.problem();
}

/// Two lives, in the order that `chance` gives to what is done in them.
void Use(const fs::path& directory, std::mt19937_64& chance) {
  CacheLife life(Options(directory));
  PutObjects(life);
  for (int opened = 0; opened < 2; ++opened) {
    ASSERT_TRUE(life.Open());
    const auto keys = life.keys();
    for (int step = 0; step < 12; ++step) {
      const std::string& key = keys[chance() % keys.size()];
      switch (chance() % 7) {
        case 0: life.FetchAll(key); break;
        case 1: life.Pin(key, true); break;
        case 2: life.Pin(key, false); break;
        case 3: life.Evict({key}); break;
        case 4:
          life.cache().SetLimits({.size_bytes = (4 + chance() % 8) * kChunk});
          life.ReadAll(key);
          life.cache().SetLimits({});
          break;
        case 5:
          std::ignore =
              life.cache().records().Put(index::RecordKind::kListing, key, std::string(9000, 'v'));
          break;
        default: life.ReadAll(key);
      }
    }
    life.AwaitQuiet();
    life.Close();
  }
  ASSERT_EQ(life.problem(), "");
}

std::string StartOn(const fs::path& image, const fs::path& boot_id) {
  UseBootId(boot_id);
  CacheLife life(Options(image));
  PutObjects(life);
  Error error{};
  if (!life.Open(&error)) return "does not start: " + error.what;
  for (const std::string& key : life.keys()) life.ReadAll(key);
  for (const std::string& key : life.keys()) life.KeepAll(key);
  const auto report = life.Verify();
  if (!report || report->bad_chunks > 0) life.Problem("damage after everything was read");
  if (const auto value = life.cache().records().Get(index::RecordKind::kListing, "a");
      value && *value != std::string(9000, 'v')) {
    life.Problem("a record has another value");
  }
  life.AwaitQuiet();
  life.Close();
  const auto begun = std::chrono::steady_clock::now();
  if (!life.Open(&error)) return "does not start again: " + error.what;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  if (seconds > kQuickSeconds) life.Problem("the second start takes " + std::to_string(seconds));
  for (const std::string& key : life.keys()) {
    const auto status = life.cache().Find(life.IdOf(key));
    if (!status || !status->whole) life.Problem(key + " is not whole after the second start");
  }
  life.CheckCounts();
  return life.problem();
}

TEST(PowerLossTest, AlwaysStartsAndNeverAWrongByte) {
  spdlog::set_level(spdlog::level::off);
  TempDir dir;
  std::ofstream(dir.path() / "boot_id") << "11111111-2222-3333-4444-555555555555\n";
  const std::size_t count = Amount("MODELFS_POWER_LOSSES", 60);
  const std::uint64_t first =
      Amount("MODELFS_SEED", static_cast<std::size_t>(std::time(nullptr)) / 86'400 * 10'000);
  const auto begun = std::chrono::steady_clock::now();
  nlohmann::json report;
  std::size_t passed = 0;
  std::size_t operations = 0;
  for (std::size_t done = 0; done < count; done += kImagesPerRun) {
    const fs::path run = dir.path() / std::to_string(done);
    fs::create_directories(run);
    ASSERT_EQ(RunForked([&] { return Prepare(run / "cache"); }, kLimit).what, "");
    fs::copy(run / "cache", run / "base", fs::copy_options::recursive);
    std::mt19937_64 chance(first + done);
    DiskRecorder recorder(run / "cache", run / "base");
    Use(run / "cache", chance);
    WatchDisk(nullptr, {});
    operations += recorder.operations();
    ASSERT_GT(recorder.operations(), 100u);
    const std::size_t images = std::min(kImagesPerRun, count - done);
    const auto results = RunForked(
        images,
        [&](std::size_t i) {
          std::mt19937_64 own(first + done + 1'000'000 * (i + 1));
          const std::size_t cut = 1 + own() % recorder.operations();
          const double share_lost = std::vector<double>{0.02, 0.3, 0.9}[own() % 3];
          const fs::path image = run / ("image" + std::to_string(i));
          recorder.Build(image, cut, share_lost, own);
          std::string verdict = StartOn(image, dir.path() / "boot_id");
          std::error_code ignored;
          if (verdict.empty()) fs::remove_all(image, ignored);
          if (!verdict.empty()) verdict += " (cut at " + std::to_string(cut) + ")";
          return verdict;
        },
        kLimit);
    for (std::size_t i = 0; i < images; ++i) {
      EXPECT_TRUE(results[i].ok())
          << "MODELFS_SEED=" << first << " image " << done + i << ": " << results[i].what;
      passed += results[i].ok() ? 1 : 0;
      if (!results[i].ok()) report["failures"][std::to_string(done + i)] = results[i].what;
    }
    fs::remove_all(run);
  }
  report["images"] = count;
  report["passed"] = passed;
  report["first_seed"] = first;
  report["operations_recorded"] = operations;
  report["seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  WriteReport("power-loss.json", report.dump(2));
  std::cout << count << " images of " << operations << " operations, " << passed << " passed\n";
}

}  // namespace
}  // namespace modelfs::test
