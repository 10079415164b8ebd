#include "fs/tree/promotions.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>

#include "fetch/base/percent.h"

namespace modelfs::fs {
namespace {

/// What a warm-up waits for: all files, and the first that failed.
struct Downloads {
  explicit Downloads(std::size_t count) : left(count) {}
  std::atomic<std::size_t> left;
  Mutex mutex;
  Result<void> result GUARDED_BY(mutex);
};

std::string KeyOf(std::string_view domain) { return fmt::format("served {}", domain); }

}  // namespace

Promotions::Promotions(Options options) : options_(std::move(options)) {
  const auto cache = options_.cache.lock();
  if (!cache) return;
  const auto kept = DecodeModels(
      cache->records().Get(index::RecordKind::kRegistry, KeyOf(options_.domain)).value_or(""));
  if (!kept) return;
  for (const auto& [name, model] : *kept) {
    for (const auto& [alias, version] : model.aliases) served_[{name, alias}] = version;
  }
}

void Promotions::Take(const CatalogPtr& catalog, const RegisteredModels& models) {
  const auto now = options_.timer->Now();
  std::vector<std::pair<Key, std::uint64_t>> warm;
  bool changed = false;
  {
    MutexLock lock(mutex_);
    std::map<Key, std::uint64_t> served;
    std::map<Key, Switch> switches;
    for (const auto& [name, model] : models) {
      for (const auto& [alias, target] : model.aliases) {
        const Key key{name, alias};
        // The first sight of an alias holds nobody up.
        const auto [known, first] = served_.try_emplace(key, target);
        served.emplace(key, known->second);
        changed = changed || first;
        if (known->second == target) continue;  // Whatever was under way is not wanted any more.
        Switch& pending = switches[key];
        if (const auto old = switches_.find(key);
            old != switches_.end() && old->second.to == target) {
          pending = old->second;
        }
        pending.to = target;
        if (pending.running || now < pending.retry_at) continue;
        pending.running = true;
        pending.failure.clear();
        warm.emplace_back(key, target);
      }
    }
    changed = changed || served.size() != served_.size();
    served_ = std::move(served);
    switches_ = std::move(switches);
  }
  if (changed) Keep();
  for (const auto& [key, to] : warm) Warm(catalog, key, to);
}

std::uint64_t Promotions::Served(const std::string& model, const std::string& alias,
                                 std::uint64_t target) const {
  MutexLock lock(mutex_);
  const auto found = served_.find({model, alias});
  return found == served_.end() ? target : found->second;
}

void Promotions::Warm(const CatalogPtr& catalog, const Key& key, std::uint64_t to) {
  spdlog::info("promotion.warming model=\"{}\" alias=\"{}\" to={}", Printable(key.first, 128),
               Printable(key.second, 128), to);
  catalog->Versions(
      key.first, RegistryCatalog::Age::kRecent,
      [self = shared_from_this(), catalog, key,
       to](const Result<RegistryCatalog::VersionsPtr>& versions) {
        if (!versions) return self->End(key, to, std::unexpected(versions.error()));
        const auto found = std::ranges::find(**versions, to, &fetch::ModelVersion::number);
        if (found == (*versions)->end()) {
          return self->End(key, to, Fail(Errc::kNotFound, "the registry has no such version"));
        }
        catalog->Files(key.first, *found,
                       [self, key, to](const Result<RegistryCatalog::FilesPtr>& files) {
                         if (!files) return self->End(key, to, std::unexpected(files.error()));
                         self->WarmFiles(key, to, *files);
                       });
      });
}

void Promotions::WarmFiles(const Key& key, std::uint64_t to,
                           const RegistryCatalog::FilesPtr& files) {
  const auto cache = options_.cache.lock();
  if (!cache) return End(key, to, Fail(Errc::kCancelled, "the daemon is ending"));
  {
    MutexLock lock(mutex_);
    if (const auto found = switches_.find(key); found != switches_.end()) {
      found->second.files = files;
    }
  }
  const auto ids = files->Identities();
  auto downloads = std::make_shared<Downloads>(ids.size());
  const auto ended = [self = shared_from_this(), key, to, files, downloads] {
    if (downloads->left.fetch_sub(1) > 1) return;
    Result<void> result;
    {
      MutexLock lock(downloads->mutex);
      result = downloads->result;
    }
    if (!result) return self->End(key, to, result);
    self->Verify(key, to, files);
  };
  for (const fetch::ObjectId& id : ids) {
    const auto object = cache->Get(id, files->origin());
    // The completion holds the object: who lets go of it gives the download up.
    object->FetchAll(index::Priority::kBackground,
                     [ended, downloads, object](const Result<void>& fetched) {
                       if (!fetched) {
                         MutexLock lock(downloads->mutex);
                         if (downloads->result) downloads->result = fetched;
                       }
                       ended();
                     });
  }
}

void Promotions::Verify(const Key& key, std::uint64_t to, const RegistryCatalog::FilesPtr& files) {
  const auto cache = options_.cache.lock();
  if (!cache) return End(key, to, Fail(Errc::kCancelled, "the daemon is ending"));
  auto ids = files->Identities();
  std::erase_if(ids, [&](const fetch::ObjectId& id) {
    const auto status = cache->Find(id);
    return !status || status->verified != index::Verified::kNo;
  });
  if (ids.empty()) return End(key, to, {});
  cache->Verify(
      std::move(ids), [](std::uint64_t) { return true; },
      [self = shared_from_this(), key, to](const Result<index::VerifyReport>& report) {
        if (!report) return self->End(key, to, std::unexpected(report.error()));
        if (report->bad_chunks == 0) return self->End(key, to, {});
        self->End(key, to, Fail(Errc::kCorrupt, "what was downloaded fails its checksum"));
      });
}

void Promotions::End(const Key& key, std::uint64_t to, const Result<void>& result) {
  std::uint64_t from = 0;
  {
    MutexLock lock(mutex_);
    const auto found = switches_.find(key);
    if (found == switches_.end() || found->second.to != to) return;  // It moved on meanwhile.
    from = served_[key];
    if (result) {
      served_[key] = to;
      switches_.erase(found);
    } else {
      found->second.running = false;
      found->second.retry_at = options_.timer->Now() + kRetry;
      found->second.failure = result.error().what;
    }
  }
  if (result) {
    spdlog::info("promotion.done model=\"{}\" alias=\"{}\" from={} to={}",
                 Printable(key.first, 128), Printable(key.second, 128), from, to);
    return Keep();
  }
  spdlog::warn("promotion.failed model=\"{}\" alias=\"{}\" serving={} to={} error=\"{}\"",
               Printable(key.first, 128), Printable(key.second, 128), from, to,
               result.error().what);
}

std::vector<PendingSwitch> Promotions::List() const {
  std::vector<PendingSwitch> list;
  std::vector<RegistryCatalog::FilesPtr> files;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, pending] : switches_) {
      const auto served = served_.find(key);
      list.push_back({.model = key.first,
                      .alias = key.second,
                      .from = served == served_.end() ? 0 : served->second,
                      .to = pending.to,
                      .failure = pending.failure});
      files.push_back(pending.files);
    }
  }
  const auto cache = options_.cache.lock();
  for (std::size_t i = 0; cache && i < list.size(); ++i) {
    if (!files[i]) continue;
    list[i].total_bytes = files[i]->bytes();
    for (const fetch::ObjectId& id : files[i]->Identities()) {
      if (const auto status = cache->Find(id)) list[i].cached_bytes += status->cached_bytes;
    }
  }
  return list;
}

// So that a switch that waits is not forgotten by the next life.
void Promotions::Keep() const {
  const auto cache = options_.cache.lock();
  if (!cache) return;
  RegisteredModels models;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, version] : served_) {
      auto& model = models[key.first];
      model.name = key.first;
      model.aliases[key.second] = version;
    }
  }
  auto kept = cache->records().Put(index::RecordKind::kRegistry, KeyOf(options_.domain),
                                   EncodeModels(models));
  if (!kept) spdlog::warn("promotion.not_kept error=\"{}\"", kept.error().what);
}

}  // namespace modelfs::fs
