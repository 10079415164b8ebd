#include "fs/tree/registry_catalog.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fetch/base/percent.h"

namespace modelfs::fs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRecent{2'000};
constexpr milliseconds kLongestPause{std::chrono::minutes(5)};

RegisteredModels ToMap(std::vector<fetch::RegisteredModel> list) {
  RegisteredModels models;
  for (auto& model : list) {
    std::string name = model.name;
    models.emplace(std::move(name), std::move(model));
  }
  return models;
}

/// Passes a failure on, a value through `make`.
template <class From, class To, class Make>
Done<From> Through(Done<To> done, Make make) {
  return [done = std::move(done), make = std::move(make)](Result<From> value) mutable {
    if (!value) return done(std::unexpected(std::move(value.error())));
    done(make(*std::move(value)));
  };
}

}  // namespace

std::shared_ptr<RegistryCatalog> RegistryCatalog::Start(Options options) {
  std::shared_ptr<RegistryCatalog> catalog(new RegistryCatalog(std::move(options)));
  catalog->Begin();
  return catalog;
}

RegistryCatalog::RegistryCatalog(Options options)
    : options_(std::move(options)), domain_(options_.registry->Domain()) {}

void RegistryCatalog::Begin() {
  Refreshed<RegisteredModels>::Options models{.ask = nullptr, .on_answer = nullptr};
  // A weak one: whoever waits holds the catalog, the poll must not.
  models.ask = [weak = weak_from_this()](Done<RegisteredModels> done) {
    const auto self = weak.lock();
    if (!self) return done(Fail(Errc::kCancelled, "the registry's tree is gone"));
    self->options_.registry->ListModels(
        Through<std::vector<fetch::RegisteredModel>, RegisteredModels>(
            std::move(done),
            [self](std::vector<fetch::RegisteredModel> list) -> Result<RegisteredModels> {
              std::erase_if(list, [&](const auto& model) { return !self->Wanted(model.name); });
              return ToMap(std::move(list));
            }));
  };
  models.on_answer = [weak = weak_from_this()](const Result<ModelsPtr>& answer) {
    if (const auto self = weak.lock()) self->KeepModels(answer);
  };
  models.timer = options_.timer;
  models.stop = stop_.get_token();
  if (auto known = DecodeModels(Record(index::RecordKind::kRegistry, ModelsKey(domain_)))) {
    std::erase_if(*known, [&](const auto& item) { return !Wanted(item.first); });
    models.known = std::make_shared<const RegisteredModels>(*std::move(known));
  }
  models_ = std::make_shared<Refreshed<RegisteredModels>>(std::move(models));
  if (options_.alias_poll > milliseconds(0)) SchedulePoll();
}

void RegistryCatalog::SchedulePoll() {
  const double spread = 0.8 + 0.4 * options_.random();
  const int doublings = std::min(failures_.load(), 8);
  const auto pause = std::min(options_.alias_poll * (1 << doublings),
                              std::max(kLongestPause, options_.alias_poll));
  const milliseconds delay(static_cast<std::int64_t>(static_cast<double>(pause.count()) * spread));
  options_.timer->After(delay, stop_.get_token(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->stop_.stop_requested()) return;
    self->models_->Get(self->options_.timer->Now(), [weak](const Result<ModelsPtr>&) {
      if (const auto polled = weak.lock()) polled->SchedulePoll();
    });
  });
}

Timer::Clock::time_point RegistryCatalog::NotBefore(Age age, milliseconds usual) const {
  const auto now = options_.timer->Now();
  switch (age) {
    case Age::kUsual: return now - usual;
    case Age::kRecent: return now - std::min(kRecent, usual);
    case Age::kNow: return now;
  }
  return now;
}

void RegistryCatalog::Models(Age age, Done<ModelsPtr> done) {
  // Polls keep it newer than that while the server answers.
  const auto usual = std::max(options_.listing_ttl, 2 * options_.alias_poll);
  models_->Get(NotBefore(age, usual), std::move(done));
}

void RegistryCatalog::KeepModels(const Result<ModelsPtr>& models) {
  if (!models) {
    const int failures = failures_.fetch_add(1) + 1;
    spdlog::log(failures < 4 ? spdlog::level::warn : spdlog::level::debug,
                "registry.unreachable registry={} failures={} error=\"{}\" serving={}",
                options_.registry->Describe(), failures, models.error().what,
                models_->Known() ? "what is known" : "nothing");
    return;
  }
  if (failures_.exchange(0) > 0) {
    spdlog::info("registry.reachable registry={}", options_.registry->Describe());
  }
  const ModelsPtr before = models_->Known();
  if (!before || *before != **models) {
    Keep(index::RecordKind::kRegistry, ModelsKey(domain_), EncodeModels(**models));
  }
  if (options_.on_models) options_.on_models(shared_from_this(), *models);
}

void RegistryCatalog::Versions(const std::string& model, Age age, Done<VersionsPtr> done) {
  VersionsOf(model)->Get(NotBefore(age, options_.listing_ttl), std::move(done));
}

std::shared_ptr<Refreshed<ModelVersions>> RegistryCatalog::VersionsOf(const std::string& model) {
  MutexLock lock(mutex_);
  auto& versions = versions_[model];
  if (versions) return versions;
  Refreshed<ModelVersions>::Options options{.ask = nullptr, .on_answer = nullptr};
  options.ask = [weak = weak_from_this(), model](Done<ModelVersions> done) {
    const auto self = weak.lock();
    if (!self) return done(Fail(Errc::kCancelled, "the registry's tree is gone"));
    self->options_.registry->ListVersions(model, std::move(done));
  };
  options.on_answer = [weak = weak_from_this(), model](const Result<VersionsPtr>& answer) {
    const auto self = weak.lock();
    if (!self) return;
    if (answer) {
      self->Keep(index::RecordKind::kRegistry, VersionsKey(self->domain_, model),
                 EncodeVersions(**answer));
    } else {
      spdlog::warn("registry.versions_failed registry={} model=\"{}\" error=\"{}\"",
                   self->options_.registry->Describe(), Printable(model, 128), answer.error().what);
    }
  };
  options.timer = options_.timer;
  options.stop = stop_.get_token();
  auto known = DecodeVersions(Record(index::RecordKind::kRegistry, VersionsKey(domain_, model)));
  if (known) options.known = std::make_shared<const ModelVersions>(*std::move(known));
  versions = std::make_shared<Refreshed<ModelVersions>>(std::move(options));
  return versions;
}

Result<VersionFiles> RegistryCatalog::OpenFiles(fetch::VersionManifest manifest) const {
  auto shared = std::make_shared<const fetch::VersionManifest>(std::move(manifest));
  auto origin = options_.registry->Open(shared);
  if (!origin) return std::unexpected(std::move(origin.error()));
  return VersionFiles(std::move(shared), *std::move(origin));
}

std::shared_ptr<Refreshed<VersionFiles>> RegistryCatalog::FilesOf(
    const std::string& model, const fetch::ModelVersion& version) {
  MutexLock lock(mutex_);
  auto& files = files_[{model, {version.number, version.created_ms}}];
  if (files) return files;
  const std::string key = ManifestKey(domain_, model, version);
  Refreshed<VersionFiles>::Options options{.ask = nullptr, .on_answer = nullptr};
  options.ask = [weak = weak_from_this(), model, version, key](Done<VersionFiles> done) {
    const auto self = weak.lock();
    if (!self) return done(Fail(Errc::kCancelled, "the registry's tree is gone"));
    self->options_.registry->GetManifest(
        model, version,
        Through<fetch::VersionManifest, VersionFiles>(
            std::move(done), [self, key](fetch::VersionManifest manifest) {
              if (manifest.version.ready) {
                self->Keep(index::RecordKind::kManifest, key, EncodeManifest(manifest));
              }
              return self->OpenFiles(std::move(manifest));
            }));
  };
  options.on_answer = [weak = weak_from_this()](const Result<FilesPtr>& answer) {
    const auto self = weak.lock();
    if (!self || answer) return;
    spdlog::warn("registry.manifest_failed registry={} code={} error=\"{}\"",
                 self->options_.registry->Describe(), ToString(answer.error().code),
                 answer.error().what);
  };
  options.timer = options_.timer;
  options.stop = stop_.get_token();
  auto kept = DecodeManifest(Record(index::RecordKind::kManifest, key));
  if (kept && kept->version == version && kept->model == model) {
    auto opened = OpenFiles(*std::move(kept));
    if (opened) options.known = std::make_shared<const VersionFiles>(*std::move(opened));
  }
  files = std::make_shared<Refreshed<VersionFiles>>(std::move(options));
  return files;
}

void RegistryCatalog::Files(const std::string& model, const fetch::ModelVersion& version,
                            Done<FilesPtr> done) {
  const auto files = FilesOf(model, version);
  if (version.ready) {
    if (auto known = files->Known(); known && known->manifest().version.ready) {
      return done(std::move(known));
    }
  }
  files->Get(NotBefore(Age::kUsual, options_.listing_ttl), std::move(done));
}

RegistryCatalog::FilesPtr RegistryCatalog::KnownFiles(const std::string& model,
                                                      const fetch::ModelVersion& version) {
  return FilesOf(model, version)->Known();
}

std::vector<RegistryCatalog::FilesPtr> RegistryCatalog::LoadedFiles() const {
  std::vector<FilesPtr> loaded;
  MutexLock lock(mutex_);
  for (const auto& [key, files] : files_) {
    if (auto known = files->Known()) loaded.push_back(std::move(known));
  }
  return loaded;
}

bool RegistryCatalog::Wanted(const std::string& model) const {
  return options_.models.empty() || std::ranges::any_of(options_.models, [&](const auto& glob) {
           return ::fnmatch(glob.c_str(), model.c_str(), 0) == 0;
         });
}

std::string RegistryCatalog::Record(index::RecordKind kind, const std::string& key) const {
  const auto records = options_.records.lock();
  return records ? records->Get(kind, key).value_or("") : std::string();
}

void RegistryCatalog::Keep(index::RecordKind kind, const std::string& key,
                           std::string value) const {
  const auto records = options_.records.lock();
  if (!records) return;
  if (auto kept = records->Put(kind, key, std::move(value)); !kept) {
    spdlog::warn("registry.not_kept registry={} error=\"{}\"", options_.registry->Describe(),
                 kept.error().what);
  }
}

}  // namespace modelfs::fs
