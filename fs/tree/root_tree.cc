#include "fs/tree/root_tree.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "fetch/base/percent.h"
#include "fs/tree/node_id.h"
#include "fs/tree/node_record.h"

namespace modelfs::fs {
namespace {

/// Of a node id: 4 bits above the 27 of a tree's own serials.
constexpr int kShift = 33 + 27;
constexpr std::uint64_t kLocal = (std::uint64_t{1} << kShift) - 1;
/// Positions in the root's directory from here on are those of the unnamed registry.
constexpr std::uint64_t kUnnamedFrom = std::uint64_t{1} << 40;
/// And from here on those of named ones.
constexpr std::uint64_t kNamedFrom = std::uint64_t{1} << 39;

std::uint64_t ToGlobal(std::uint32_t number, std::uint64_t local) {
  return std::uint64_t{number} << kShift | local;
}

Tree::Options PlainOptions(const Tree::Options& all) {
  Tree::Options plain = all;
  std::erase_if(plain.sources,
                [](const Tree::Source& source) { return source.registry != nullptr; });
  return plain;
}

std::unexpected<Error> NoSuchNode(std::uint64_t id) {
  return Fail(Errc::kNotFound, fmt::format("node {}: never given out", id));
}

}  // namespace

std::shared_ptr<Tree> Tree::Create(Options options) {
  auto tree = std::make_shared<RootTree>(std::move(options));
  tree->Reconfigure(tree->options().sources, tree->options().listing_ttl);
  return tree;
}

Result<std::shared_ptr<Tree>> Tree::Resume(Options options) {
  auto tree = std::make_shared<RootTree>(std::move(options));
  if (auto restored = tree->Restore(); !restored) return std::unexpected(restored.error());
  tree->Reconfigure(tree->options().sources, tree->options().listing_ttl);
  return tree;
}

void Tree::Report(std::uint64_t id, Done<std::string> done) {
  done(Fail(Errc::kInvalid, fmt::format("node {}: no report", id)));
}

RootTree::RootTree(Options options)
    : options_(std::move(options)),
      plain_(std::make_shared<OriginTree>(PlainOptions(options_))),
      reports_(options_.reports ? std::make_shared<ReportTree>(
                                      options_, [this] { return RegistriesForReports(); })
                                : nullptr) {}

std::shared_ptr<RegistryTree> RootTree::MakeRegistry(const Source& source, std::uint32_t number,
                                                     std::chrono::milliseconds listing_ttl) const {
  Options tree = options_;
  tree.sources = {source};
  tree.listing_ttl = listing_ttl;
  std::shared_ptr<Promotions> promotions;
  if (options_.warm_promotions) {
    promotions = std::make_shared<Promotions>(Promotions::Options{
        .cache = options_.cache, .domain = source.registry->Domain(), .timer = options_.timer});
  }
  RegistryCatalog::Options catalog{
      .registry = source.registry,
      .records = std::shared_ptr<index::RecordStore>(options_.cache, &options_.cache->records()),
      .timer = options_.timer,
      .random = options_.random,
      .listing_ttl = listing_ttl,
      .alias_poll = options_.alias_poll,
      .models = source.models,
      .on_models = nullptr};
  if (promotions) {
    catalog.on_models = [promotions](const std::shared_ptr<RegistryCatalog>& asked,
                                     const RegistryCatalog::ModelsPtr& models) {
      promotions->Take(asked, *models);
    };
  }
  return std::make_shared<RegistryTree>(std::move(tree), RegistryCatalog::Start(std::move(catalog)),
                                        std::move(promotions), number);
}

void RootTree::Reconfigure(std::vector<Source> sources, std::chrono::milliseconds listing_ttl) {
  std::vector<Source> plain;
  std::vector<Source> registries;
  for (Source& source : sources) {
    (source.registry ? registries : plain).push_back(std::move(source));
  }
  plain_->Reconfigure(std::move(plain), listing_ttl);
  MutexLock lock(mutex_);
  for (Mounted& mounted : registries_) {
    const auto same = std::ranges::find_if(registries, [&](const Source& source) {
      return source.name == mounted.source.name && source.registry == mounted.source.registry &&
             source.models == mounted.source.models;
    });
    mounted.gone = mounted.gone || same == registries.end();
    if (!mounted.gone) registries.erase(same);
  }
  for (Source& source : registries) {
    if (registries_.size() == kMostRegistries) {
      spdlog::warn(
          "tree.registry_refused source={} why=\"{} registries were mounted here; mount "
          "anew\"",
          source.Describe(), kMostRegistries);
      break;
    }
    const auto number = static_cast<std::uint32_t>(registries_.size() + 1);
    Append(options_.nodes, RegistryRecord{.number = number,
                                          .name = source.name,
                                          .registry = source.Describe(),
                                          .domain = source.registry->Domain(),
                                          .models = source.models});
    auto tree = MakeRegistry(source, number, listing_ttl);
    registries_.push_back({std::move(source), std::move(tree), number, false});
  }
}

std::vector<Tree::Source> RootTree::Sources() const {
  std::vector<Source> sources = plain_->Sources();
  for (Mounted& mounted : Registries()) sources.push_back(std::move(mounted.source));
  return sources;
}

std::vector<RootTree::Mounted> RootTree::Registries() const {
  std::vector<Mounted> mounted;
  MutexLock lock(mutex_);
  std::ranges::copy_if(registries_, std::back_inserter(mounted),
                       [](const Mounted& m) { return !m.gone; });
  return mounted;
}

std::vector<ReportTree::Registry> RootTree::RegistriesForReports() const {
  std::vector<ReportTree::Registry> registries;
  MutexLock lock(mutex_);
  registries.reserve(registries_.size());
  for (const Mounted& mounted : registries_) {
    registries.push_back({mounted.source.name, mounted.tree, mounted.number, mounted.gone});
  }
  return registries;
}

RootTree::Mounted RootTree::Unnamed() const {
  for (Mounted& mounted : Registries()) {
    if (mounted.source.name.empty()) return std::move(mounted);
  }
  return {};
}

std::shared_ptr<Tree> RootTree::TreeOf(std::uint64_t id, std::uint64_t* local) const {
  const std::uint64_t number = id >> kShift;
  *local = id & kLocal;
  if (number == 0) return plain_;
  if (number == kReports) return reports_;
  MutexLock lock(mutex_);
  if (number > registries_.size()) return nullptr;
  // Nobody else has the number of what is gone: whoever is in it goes on.
  return registries_[number - 1].tree;
}

void RootTree::Lookup(std::uint64_t parent, std::string_view name, Done<Node> done) {
  if (parent != kRootId) {
    std::uint64_t local = 0;
    const auto tree = TreeOf(parent, &local);
    if (!tree) return done(NoSuchNode(parent));
    const auto number = static_cast<std::uint32_t>(parent >> kShift);
    return tree->Lookup(local, name, [number, done = std::move(done)](Result<Node> node) mutable {
      if (node) node->id = ToGlobal(number, node->id);
      done(std::move(node));
    });
  }
  if (reports_ && name == ReportTree::kName) return done(Get(ToGlobal(kReports, kRootId)));
  for (const Mounted& mounted : Registries()) {
    if (mounted.source.name == name) return done(Get(ToGlobal(mounted.number, kRootId)));
  }
  plain_->Lookup(kRootId, name,
                 [self = shared_from_this(), name = std::string(name),
                  done = std::move(done)](Result<Node> node) mutable {
                   if (node || node.error().code != Errc::kNotFound) return done(std::move(node));
                   const Mounted unnamed = self->Unnamed();
                   if (!unnamed.tree) return done(std::move(node));
                   unnamed.tree->Lookup(kRootId, name,
                                        [number = unnamed.number,
                                         done = std::move(done)](Result<Node> model) mutable {
                                          if (model) model->id = ToGlobal(number, model->id);
                                          done(std::move(model));
                                        });
                 });
}

Result<Node> RootTree::Get(std::uint64_t id) {
  std::uint64_t local = 0;
  const auto tree = TreeOf(id, &local);
  if (!tree) return NoSuchNode(id);
  auto node = tree->Get(local);
  if (!node) return node;
  node->id = id;
  // Sources may come and go with the configuration.
  if (local == kRootId && id != kRootId) node->valid_for = std::chrono::seconds(1);
  return node;
}

void RootTree::Read(std::uint64_t directory, std::uint64_t from, std::size_t limit,
                    Done<std::vector<DirectoryEntry>> done) {
  if (directory == kRootId) return ReadRoot(from, limit, std::move(done));
  std::uint64_t local = 0;
  const auto tree = TreeOf(directory, &local);
  if (!tree) return done(NoSuchNode(directory));
  const auto number = static_cast<std::uint32_t>(directory >> kShift);
  tree->Read(local, from, limit,
             [number, done = std::move(done)](Result<std::vector<DirectoryEntry>> entries) mutable {
               if (entries) {
                 for (DirectoryEntry& entry : *entries) {
                   entry.node.id = ToGlobal(number, entry.node.id);
                 }
               }
               done(std::move(entries));
             });
}

void RootTree::ReadRoot(std::uint64_t from, std::size_t limit,
                        Done<std::vector<DirectoryEntry>> done) {
  if (from >= kUnnamedFrom) return ReadUnnamed(from - kUnnamedFrom, limit, {}, std::move(done));
  const auto after_plain = [self = shared_from_this(), from, limit](
                               std::vector<DirectoryEntry> entries,
                               Done<std::vector<DirectoryEntry>> then) {
    const std::uint64_t first = from >= kNamedFrom ? from - kNamedFrom : 0;
    for (const Mounted& mounted : self->Registries()) {
      if (mounted.source.name.empty() || mounted.number <= first) continue;
      if (entries.size() == limit) return then(std::move(entries));
      auto node = self->Get(ToGlobal(mounted.number, kRootId));
      if (node) entries.push_back({mounted.source.name, kNamedFrom + mounted.number, *node});
    }
    const std::size_t room = limit - entries.size();
    self->ReadUnnamed(0, room, std::move(entries), std::move(then));
  };
  if (from >= kNamedFrom) return after_plain({}, std::move(done));
  plain_->Read(kRootId, from, limit,
               [after_plain, limit,
                done = std::move(done)](Result<std::vector<DirectoryEntry>> entries) mutable {
                 if (!entries || entries->size() == limit) return done(std::move(entries));
                 after_plain(*std::move(entries), std::move(done));
               });
}

void RootTree::ReadUnnamed(std::uint64_t from, std::size_t limit,
                           std::vector<DirectoryEntry> before,
                           Done<std::vector<DirectoryEntry>> done) {
  const Mounted unnamed = Unnamed();
  if (!unnamed.tree || limit == 0) return done(std::move(before));
  std::vector<std::string> hiding;
  for (const Source& source : Sources()) hiding.push_back(source.name);
  unnamed.tree->Read(kRootId, from, limit,
                     [self = shared_from_this(), number = unnamed.number, first = from == 0, limit,
                      hiding = std::move(hiding), before = std::move(before),
                      done = std::move(done)](Result<std::vector<DirectoryEntry>> models) mutable {
                       if (!models) {
                         // A registry that is down must not hide the sources beside it.
                         if (!before.empty()) return done(std::move(before));
                         return done(std::unexpected(std::move(models.error())));
                       }
                       const std::uint64_t next = models->empty() ? 0 : models->back().next;
                       for (DirectoryEntry& model : *models) {
                         if (std::ranges::find(hiding, model.name) != hiding.end()) {
                           if (first) {
                             spdlog::warn(
                                 "tree.model_hidden model=\"{}\" why=\"a source has its name\"",
                                 Printable(model.name, 128));
                           }
                           continue;
                         }
                         model.node.id = ToGlobal(number, model.node.id);
                         model.next += kUnnamedFrom;
                         before.push_back(std::move(model));
                       }
                       // Nothing would mean the end, but all of these were hidden.
                       if (before.empty() && next != 0) {
                         return self->ReadUnnamed(next, limit, {}, std::move(done));
                       }
                       done(std::move(before));
                     });
}

Result<std::shared_ptr<index::CachedObject>> RootTree::Open(std::uint64_t file) {
  std::uint64_t local = 0;
  const auto tree = TreeOf(file, &local);
  if (!tree) return NoSuchNode(file);
  return tree->Open(local);
}

Result<fetch::ObjectId> RootTree::Identity(std::uint64_t file) {
  std::uint64_t local = 0;
  const auto tree = TreeOf(file, &local);
  if (!tree) return NoSuchNode(file);
  return tree->Identity(local);
}

std::chrono::milliseconds RootTree::NegativeTtl(std::uint64_t directory) {
  if (directory == kRootId) {
    if (const Mounted unnamed = Unnamed(); unnamed.tree) return unnamed.tree->NegativeTtl(kRootId);
  }
  std::uint64_t local = 0;
  const auto tree = TreeOf(directory, &local);
  return tree ? tree->NegativeTtl(local) : std::chrono::milliseconds(0);
}

Result<std::string> RootTree::ReadLink(std::uint64_t id) {
  std::uint64_t local = 0;
  const auto tree = TreeOf(id, &local);
  if (!tree) return NoSuchNode(id);
  return tree->ReadLink(local);
}

bool RootTree::IsReport(std::uint64_t id) const {
  return id >> kShift == kReports && reports_ && reports_->IsReport(id & kLocal);
}

void RootTree::Report(std::uint64_t id, Done<std::string> done) {
  if (!IsReport(id)) return Tree::Report(id, std::move(done));
  reports_->Report(id & kLocal, std::move(done));
}

Tree::Totals RootTree::Listed() const {
  Totals totals = plain_->Listed();
  for (const Mounted& mounted : Registries()) {
    const Totals more = mounted.tree->Listed();
    totals.files += more.files;
    totals.bytes += more.bytes;
  }
  return totals;
}

std::optional<std::vector<fetch::ObjectId>> RootTree::ListedFiles(std::string_view source) const {
  for (const Mounted& mounted : Registries()) {
    if (mounted.source.name == source) return mounted.tree->ListedFiles(source);
  }
  return plain_->ListedFiles(source);
}

std::vector<ListedVersion> RootTree::ListedVersions(std::string_view source) const {
  for (const Mounted& mounted : Registries()) {
    if (mounted.source.name == source) return mounted.tree->ListedVersions(source);
  }
  return {};
}

std::vector<PendingSwitch> RootTree::PendingSwitches() const {
  std::vector<PendingSwitch> switches;
  for (const Mounted& mounted : Registries()) {
    std::ranges::move(mounted.tree->PendingSwitches(), std::back_inserter(switches));
  }
  return switches;
}

void RootTree::RefreshRegistries() {
  for (const Mounted& mounted : Registries()) {
    mounted.tree->catalog().Models(RegistryCatalog::Age::kNow,
                                   [](const Result<RegistryCatalog::ModelsPtr>&) {});
  }
}

Result<std::shared_ptr<fetch::Origin>> RootTree::OriginOf(std::uint64_t file) {
  std::uint64_t local = 0;
  const auto tree = TreeOf(file, &local);
  if (!tree) return NoSuchNode(file);
  return tree->OriginOf(local);
}

std::optional<SignedPlace> RootTree::SignatureOf(std::uint64_t file) const {
  std::uint64_t local = 0;
  const auto tree = TreeOf(file, &local);
  auto place = tree ? tree->SignatureOf(local) : std::nullopt;
  if (place) place->signature |= file & ~kLocal;
  return place;
}

}  // namespace modelfs::fs
