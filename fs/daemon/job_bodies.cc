#include "fs/daemon/job_bodies.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "fs/daemon/shared_profiles.h"
#include "fs/tree/walker.h"

namespace modelfs::fs {
namespace {

using State = std::shared_ptr<JobState>;

/// Enough to keep the connections busy while small files come and go.
constexpr std::size_t kFilesAtOnce = 8;

struct File {
  std::shared_ptr<Tree> tree;
  WalkedFile found;
};

std::unexpected<Error> Cancelled() {
  return Fail(Errc::kCancelled, "the daemon ended before the job did");
}

Result<std::vector<File>> FindFiles(const State& state, const std::vector<JobTarget>& targets) {
  std::vector<File> files;
  for (const JobTarget& target : targets) {
    // Filled by a completion that may come after the job was cancelled.
    auto found = std::make_shared<std::vector<WalkedFile>>();
    Walk(target.tree, target.path, [state, found](Result<std::vector<WalkedFile>> all) {
      Result<void> result;
      if (all) {
        *found = *std::move(all);
      } else {
        result = std::unexpected(std::move(all.error()));
      }
      state->Post({.number = 0, .result = std::move(result)});
    });
    const auto walked = state->Await();
    if (!walked) return Cancelled();
    if (!walked->result) return std::unexpected(walked->result.error());
    for (WalkedFile& file : *found) files.push_back({target.tree, std::move(file)});
  }
  return files;
}

void Download(const State& state, std::size_t number, const File& file) {
  auto object = file.tree->Open(file.found.id);
  if (!object) {
    state->Post({.number = number, .result = std::unexpected(std::move(object.error()))});
    return;
  }
  state->FileStarted(number, *object);
  (*object)->FetchAll(index::Priority::kPlan, [state, number](Result<void> result) {
    state->Post({.number = number, .result = std::move(result)});
  });
}

Result<void> DownloadAll(const State& state, const std::vector<File>& files) {
  std::size_t next = 0;
  std::size_t ended = 0;
  std::size_t failures = 0;
  std::string first_failure;
  while (ended < files.size()) {
    while (next < files.size() && next - ended < kFilesAtOnce) {
      Download(state, next, files[next]);
      ++next;
    }
    const auto event = state->Await();
    if (!event) return Cancelled();
    ++ended;
    const WalkedFile& file = files[event->number].found;
    state->FileEnded(event->number, event->result ? file.size_bytes : 0);
    if (!event->result && failures++ == 0) {
      first_failure = fmt::format("{}: {}", file.path, event->result.error().what);
    }
  }
  if (failures == 0) return {};
  return Fail(Errc::kIo, fmt::format("{} of {} files could not be downloaded; the first: {}",
                                     failures, files.size(), first_failure));
}

/// The identities behind `files`, each once.
Result<std::vector<fetch::ObjectId>> Identities(const std::vector<File>& files) {
  std::vector<fetch::ObjectId> ids;
  std::unordered_set<std::string> seen;
  for (const File& file : files) {
    auto id = file.tree->Identity(file.found.id);
    if (!id) return std::unexpected(id.error());
    if (seen.insert(id->Digest()).second) ids.push_back(*std::move(id));
  }
  return ids;
}

using Progress = std::move_only_function<bool(std::uint64_t)>;

/// Waits for the completion of what `start` begins; it may come after the job was cancelled.
template <class T, class Start>
Result<T> Collect(const State& state, Start&& start) {
  auto value = std::make_shared<T>();
  std::forward<Start>(start)([state, value](Result<T> got) {
    Result<void> result;
    if (got) {
      *value = *std::move(got);
    } else {
      result = std::unexpected(std::move(got.error()));
    }
    state->Post({.number = 0, .result = std::move(result)});
  });
  const auto event = state->Await();
  if (!event) return Cancelled();
  if (!event->result) return std::unexpected(event->result.error());
  return std::move(*value);
}

Result<index::VerifyReport> VerifyIds(const State& state, index::Cache& cache,
                                      std::vector<fetch::ObjectId> ids, Progress progress) {
  return Collect<index::VerifyReport>(state, [&](Done<index::VerifyReport> done) {
    cache.Verify(std::move(ids), std::move(progress), std::move(done));
  });
}

void SetVerifyReport(const State& state, const index::VerifyReport& report) {
  state->SetFilesDone(report.objects);
  state->SetReport({{"objects", report.objects},
                    {"chunks", report.chunks},
                    {"bytes", report.bytes},
                    {"bad_chunks", report.bad_chunks},
                    {"repaired_chunks", report.repaired_chunks},
                    {"bad", report.bad}});
}

Result<std::vector<fetch::ObjectId>> IdsOf(const State& state,
                                           const std::vector<JobTarget>& targets) {
  auto files = FindFiles(state, targets);
  if (!files) return std::unexpected(files.error());
  auto ids = Identities(*files);
  if (ids) state->SetTotals(ids->size(), 0);
  return ids;
}

using PinCall = void (index::Cache::*)(std::vector<fetch::ObjectId>, Done<void>);

Result<void> ChangePins(const State& state, index::Cache& cache,
                        const std::vector<JobTarget>& targets, PinCall call) {
  auto ids = IdsOf(state, targets);
  if (!ids) return std::unexpected(ids.error());
  const std::size_t objects = ids->size();
  std::uint64_t bytes = 0;
  for (const fetch::ObjectId& id : *ids) {
    if (const auto status = cache.Find(id)) bytes += status->cached_bytes;
  }
  (cache.*call)(*std::move(ids), [state](Result<void> result) {
    state->Post({.number = 0, .result = std::move(result)});
  });
  const auto event = state->Await();
  if (!event) return Cancelled();
  if (!event->result) return event->result;
  state->SetFilesDone(objects);
  state->SetReport({{"objects", objects}, {"bytes", bytes}});
  return {};
}

/// Reads back what was downloaded where no checksum of the origin vouches for it.
Result<void> VerifyDownloads(const State& state, index::Cache& cache,
                             const std::vector<File>& files) {
  auto ids = Identities(files);
  if (!ids) return std::unexpected(ids.error());
  std::erase_if(*ids, [&](const fetch::ObjectId& id) {
    const auto status = cache.Find(id);
    return !status || status->verified != index::Verified::kNo;
  });
  if (ids->empty()) return {};
  auto report = VerifyIds(state, cache, *std::move(ids),
                          [state](std::uint64_t) { return !state->cancelled(); });
  if (!report) return std::unexpected(report.error());
  if (report->bad_chunks == 0) return {};
  return Fail(Errc::kCorrupt,
              fmt::format("{} chunks failed their checksum when read back ({}): run it again",
                          report->bad_chunks, report->bad.empty() ? "" : report->bad.front()));
}

}  // namespace

Result<void> RunWarm(const State& state, const std::shared_ptr<index::Cache>& cache,
                     const std::vector<JobTarget>& targets) {
  auto files = FindFiles(state, targets);
  if (!files) return std::unexpected(files.error());
  std::uint64_t bytes = 0;
  for (const File& file : *files) bytes += file.found.size_bytes;
  state->SetTotals(files->size(), bytes);
  auto downloaded = DownloadAll(state, *files);
  if (!downloaded) return downloaded;
  return VerifyDownloads(state, *cache, *files);
}

Result<void> RunVerify(const State& state, const std::shared_ptr<index::Cache>& cache,
                       const std::vector<JobTarget>& targets) {
  std::vector<fetch::ObjectId> ids;
  std::uint64_t bytes = 0;
  const bool everything = targets.empty();
  if (everything) {
    const auto stats = cache->Stats();
    bytes = stats.cached_bytes;
    state->SetTotals(stats.objects, bytes);
  } else {
    auto files = FindFiles(state, targets);
    if (!files) return std::unexpected(files.error());
    auto found = Identities(*files);
    if (!found) return std::unexpected(found.error());
    std::erase_if(*found, [&](const fetch::ObjectId& id) {
      const auto status = cache->Find(id);
      if (status) bytes += status->cached_bytes;
      return !status;
    });
    ids = *std::move(found);
    state->SetTotals(ids.size(), bytes);
  }
  // An empty list means the whole cache to Verify; here it means that nothing is cached.
  auto report = everything || !ids.empty() ? VerifyIds(state, *cache, std::move(ids),
                                                       [state](std::uint64_t done) {
                                                         state->SetBytesDone(done);
                                                         return !state->cancelled();
                                                       })
                                           : Result<index::VerifyReport>(index::VerifyReport{});
  if (!report) return std::unexpected(report.error());
  SetVerifyReport(state, *report);
  return {};
}

Result<void> RunRepair(const State& state, const std::shared_ptr<index::Cache>& cache,
                       const std::vector<JobTarget>& targets) {
  auto files = FindFiles(state, targets);
  if (!files) return std::unexpected(files.error());
  std::vector<index::RepairItem> items;
  std::unordered_set<std::string> seen;
  std::uint64_t bytes = 0;
  for (const File& file : *files) {
    auto id = file.tree->Identity(file.found.id);
    auto origin = file.tree->OriginOf(file.found.id);
    if (!id || !origin) continue;  // Replaced since it was found.
    const auto status = cache->Find(*id);
    if (!status || !seen.insert(id->Digest()).second) continue;
    bytes += status->cached_bytes;
    items.push_back({.id = *std::move(id), .origin = *std::move(origin)});
  }
  state->SetTotals(items.size(), bytes);
  if (items.empty()) {
    SetVerifyReport(state, {});
    return {};
  }
  auto report = Collect<index::VerifyReport>(state, [&](Done<index::VerifyReport> done) {
    cache->Repair(
        std::move(items),
        [state](std::uint64_t checked) {
          state->SetBytesDone(checked);
          return !state->cancelled();
        },
        std::move(done));
  });
  if (!report) return std::unexpected(report.error());
  SetVerifyReport(state, *report);
  return {};
}

Result<void> RunPin(const State& state, const std::shared_ptr<index::Cache>& cache,
                    const std::vector<JobTarget>& targets) {
  return ChangePins(state, *cache, targets, &index::Cache::Pin);
}

Result<void> RunUnpin(const State& state, const std::shared_ptr<index::Cache>& cache,
                      const std::vector<JobTarget>& targets) {
  return ChangePins(state, *cache, targets, &index::Cache::Unpin);
}

Result<void> RunEvict(const State& state, const std::shared_ptr<index::Cache>& cache,
                      const std::vector<JobTarget>& targets) {
  auto ids = IdsOf(state, targets);
  if (!ids) return std::unexpected(ids.error());
  std::erase_if(*ids, [&](const fetch::ObjectId& id) { return !cache->Find(id); });
  index::EvictReport report;
  // None would mean all to the cache.
  if (!ids->empty()) {
    auto evicted = Collect<index::EvictReport>(state, [&](Done<index::EvictReport> done) {
      cache->Evict(*std::move(ids), std::move(done));
    });
    if (!evicted) return std::unexpected(evicted.error());
    report = *evicted;
  }
  state->SetReport({{"objects", report.objects},
                    {"bytes", report.bytes},
                    {"in_use", report.in_use},
                    {"pinned", report.pinned}});
  return {};
}

Result<void> RunExportProfiles(const State& state, const std::shared_ptr<index::Cache>& cache,
                               const std::vector<JobTarget>& targets) {
  auto ids = IdsOf(state, targets);
  if (!ids) return std::unexpected(ids.error());
  const auto file = GatherProfiles(cache->records(), *ids);
  if (file.profiles.empty()) {
    return Fail(Errc::kNotFound,
                "no load of these files is known: load the model once through this cache, and let "
                "go of its files");
  }
  std::string bytes = file.Encode();
  if (bytes.size() > index::ProfileFile::kMostBytes) {
    return Fail(Errc::kInvalid, "the profiles of so many files have more than 32 MiB: name fewer");
  }
  state->SetFilesDone(ids->size());
  state->SetReport({{"objects", ids->size()}, {"profiles", file.profiles.size()}});
  state->SetOutput(std::move(bytes));
  return {};
}

}  // namespace modelfs::fs
