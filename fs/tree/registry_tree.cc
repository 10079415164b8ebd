#include "fs/tree/registry_tree.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "fetch/base/percent.h"
#include "fs/tree/gone_origin.h"
#include "fs/tree/names.h"
#include "fs/tree/node_id.h"

namespace modelfs::fs {
namespace {

using Age = RegistryCatalog::Age;

constexpr std::uint32_t kModels = RegistryNodes::kModels;
constexpr std::uint32_t kLines = RegistryNodes::kLines;

constexpr std::chrono::hours kForever{24};
/// A link that moves is seen within this, and a webhook's move within a second.
constexpr std::chrono::milliseconds kLinkTtl{500};
constexpr std::chrono::milliseconds kNegativeTtl{1'000};
constexpr std::string_view kOurs = ".modelfs";
constexpr std::string_view kLatest = "latest";

std::unexpected<Error> NoSuchNode(std::uint64_t id) {
  return Fail(Errc::kNotFound, fmt::format("node {}: never given out", id));
}

std::unexpected<Error> NoSuch(std::string_view what, std::string_view name) {
  return Fail(Errc::kNotFound, fmt::format("{}: no such {}", Printable(name, 128), what));
}

std::chrono::system_clock::time_point FromMilliseconds(std::int64_t ms) {
  return std::chrono::system_clock::time_point(std::chrono::milliseconds(ms));
}

std::uint64_t Id(std::uint32_t serial, std::uint32_t index) {
  return NodeId{.manifest = serial, .index = index}.Pack();
}

}  // namespace

std::optional<std::string> ModelDirectoryName(std::string_view raw) {
  if (raw == kOurs) return "%2E" + std::string(kOurs.substr(1));
  return EscapeName(raw);
}

RegistryTree::RegistryTree(Options tree, std::shared_ptr<RegistryCatalog> catalog,
                           std::shared_ptr<Promotions> promotions, std::uint32_t number)
    : options_(std::move(tree)),
      catalog_(std::move(catalog)),
      promotions_(std::move(promotions)),
      nodes_(options_.nodes, number),
      shards_(std::make_shared<ShardsAhead>(options_.cache)) {}

RegistryTree::~RegistryTree() { catalog_->Stop(); }

Result<void> RegistryTree::Restore(const FilesRecord& record) {
  auto files = catalog_->OpenFiles(record.manifest);
  // What the registry does not take for its own any more cannot be read, but keeps its numbers.
  return nodes_.Restore(record,
                        files ? std::make_shared<const VersionFiles>(*std::move(files))
                              : std::make_shared<const VersionFiles>(
                                    std::make_shared<const fetch::VersionManifest>(record.manifest),
                                    std::make_shared<GoneOrigin>(catalog_->registry().Describe())));
}

// It is one source: whoever composes trees makes another.
void RegistryTree::Reconfigure(std::vector<Source>, std::chrono::milliseconds) {}

Node RegistryTree::RootNode() const {
  return {.id = kRootId,
          .kind = Node::Kind::kDirectory,
          .size_bytes = 0,
          .modified = created_,
          .valid_for = kForever};
}

Node RegistryTree::ModelNode(std::uint32_t number, const Model& model) const {
  return {.id = Id(kModels, number),
          .kind = Node::Kind::kDirectory,
          .size_bytes = 0,
          .modified = FromMilliseconds(model.created_ms),
          .valid_for = options_.listing_ttl};
}

Node RegistryTree::LineNode(std::uint32_t number, const Line& line) const {
  const bool link = !line.target.empty();
  return {.id = Id(kLines, number),
          .kind = link ? Node::Kind::kSymlink : Node::Kind::kDirectory,
          .size_bytes = line.target.size(),
          .modified = link ? created_ : FromMilliseconds(line.version.created_ms),
          .valid_for = link ? kLinkTtl : options_.listing_ttl};
}

Node RegistryTree::FileNode(std::uint32_t serial, std::uint32_t number,
                            const VersionFiles& files) const {
  const VersionFiles::Node& node = *files.At(number);
  const bool ready = files.manifest().version.ready;
  return {.id = Id(serial, number),
          .kind = node.is_file ? Node::Kind::kFile : Node::Kind::kDirectory,
          .size_bytes = node.size_bytes,
          .modified = node.modified,
          .valid_for = ready ? std::chrono::milliseconds(kForever) : options_.listing_ttl};
}

RegistryTree::Line RegistryTree::LinkLine(std::uint32_t model, std::string name,
                                          std::uint64_t target) {
  return {.model = model, .name = std::move(name), .target = std::to_string(target)};
}

std::vector<std::pair<std::string, std::uint64_t>> RegistryTree::Links(
    const fetch::RegisteredModel& model) const {
  std::vector<std::pair<std::string, std::uint64_t>> links;
  for (const auto& [alias, target] : model.aliases) {
    auto name = EscapeName("@" + alias);
    if (!name) continue;
    links.emplace_back(*std::move(name),
                       promotions_ ? promotions_->Served(model.name, alias, target) : target);
  }
  if (model.latest > 0) links.emplace_back(kLatest, model.latest);
  return links;
}

void RegistryTree::Lookup(std::uint64_t parent, std::string_view name, Done<Node> done) {
  if (parent == kRootId) return LookupModel(name, Age::kUsual, std::move(done));
  const NodeId node = NodeId::Unpack(parent);
  if (node.manifest != kModels) return LookupFile(parent, std::string(name), std::move(done));
  if (name.starts_with('@') || name == kLatest) {
    return LookupLink(node.index, std::string(name), Age::kUsual, std::move(done));
  }
  LookupVersion(node.index, std::string(name), Age::kUsual, std::move(done));
}

void RegistryTree::LookupModel(std::string_view name, Age age, Done<Node> done) {
  const std::string raw = UnescapeName(name);
  if (ModelDirectoryName(raw) != name) return done(NoSuch("model", name));
  catalog_->Models(age,
                   [self = shared_from_this(), raw, shown = std::string(name), age,
                    done = std::move(done)](Result<RegistryCatalog::ModelsPtr> models) mutable {
                     if (!models) return done(std::unexpected(std::move(models.error())));
                     const auto found = (*models)->find(raw);
                     if (found != (*models)->end()) {
                       const std::uint32_t number = self->nodes_.NumberOf(found->second, shown);
                       return done(self->ModelNode(number, *self->nodes_.ModelAt(number)));
                     }
                     // It may have been registered since.
                     if (age == Age::kUsual)
                       return self->LookupModel(shown, Age::kRecent, std::move(done));
                     done(NoSuch("model", shown));
                   });
}

void RegistryTree::LookupLink(std::uint32_t model, const std::string& name, Age age,
                              Done<Node> done) {
  const auto known = nodes_.ModelAt(model);
  if (!known) return done(NoSuch("model", name));
  catalog_->Models(age,
                   [self = shared_from_this(), model, raw = known->raw, name, age,
                    done = std::move(done)](Result<RegistryCatalog::ModelsPtr> models) mutable {
                     if (!models) return done(std::unexpected(std::move(models.error())));
                     if (const auto found = (*models)->find(raw); found != (*models)->end()) {
                       for (auto& [link, target] : self->Links(found->second)) {
                         if (link != name) continue;
                         const std::uint32_t number =
                             self->nodes_.NumberOf(LinkLine(model, std::move(link), target));
                         return done(self->LineNode(number, *self->nodes_.LineAt(number)));
                       }
                     }
                     if (age == Age::kUsual)
                       return self->LookupLink(model, name, Age::kRecent, std::move(done));
                     done(NoSuch("alias", name));
                   });
}

void RegistryTree::LookupVersion(std::uint32_t model, const std::string& name, Age age,
                                 Done<Node> done) {
  const auto known = nodes_.ModelAt(model);
  std::uint64_t wanted = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), wanted);
  // "007" is no other name of 7.
  if (!known || error != std::errc{} || end != name.data() + name.size() ||
      std::to_string(wanted) != name) {
    return done(NoSuch("version", name));
  }
  catalog_->Versions(known->raw, age,
                     [self = shared_from_this(), model, name, wanted, age, done = std::move(done)](
                         Result<RegistryCatalog::VersionsPtr> versions) mutable {
                       if (!versions) return done(std::unexpected(std::move(versions.error())));
                       const auto found = std::ranges::lower_bound(**versions, wanted, {},
                                                                   &fetch::ModelVersion::number);
                       if (found != (*versions)->end() && found->number == wanted) {
                         const std::uint32_t number = self->nodes_.NumberOf(
                             {.model = model, .name = name, .target = {}, .version = *found});
                         return done(self->LineNode(number, *self->nodes_.LineAt(number)));
                       }
                       if (age == Age::kUsual) {
                         return self->LookupVersion(model, name, Age::kRecent, std::move(done));
                       }
                       done(NoSuch("version", name));
                     });
}

void RegistryTree::FilesOf(std::uint32_t line, Done<std::uint32_t> done) {
  const auto known = nodes_.LineAt(line);
  const auto model = known ? nodes_.ModelAt(known->model) : std::nullopt;
  if (!model || !known->target.empty()) return done(NoSuch("version", std::to_string(line)));
  catalog_->Files(
      model->raw, known->version,
      [self = shared_from_this(), line, done = std::move(done)](Result<FilesPtr> files) mutable {
        if (!files) return done(std::unexpected(std::move(files.error())));
        done(self->nodes_.SerialOf(line, *files));
      });
}

void RegistryTree::LookupFile(std::uint64_t parent, const std::string& name, Done<Node> done) {
  const NodeId node = NodeId::Unpack(parent);
  const auto find = [self = shared_from_this(), name](std::uint32_t serial,
                                                      std::uint32_t folder) -> Result<Node> {
    const FilesPtr files = self->nodes_.FilesAt(serial);
    const auto number = files ? files->Find(folder, name) : std::nullopt;
    if (!number) return NoSuch("file", name);
    return self->FileNode(serial, *number, *files);
  };
  if (node.manifest != kLines) return done(find(node.manifest, node.index));
  FilesOf(node.index, [find, done = std::move(done)](Result<std::uint32_t> serial) mutable {
    if (!serial) return done(std::unexpected(std::move(serial.error())));
    done(find(*serial, VersionFiles::kTop));
  });
}

Result<Node> RegistryTree::Get(std::uint64_t id) {
  if (id == kRootId) return RootNode();
  const NodeId node = NodeId::Unpack(id);
  if (node.manifest == kModels) {
    const auto model = nodes_.ModelAt(node.index);
    if (!model) return NoSuchNode(id);
    return ModelNode(node.index, *model);
  }
  if (node.manifest == kLines) {
    const auto line = nodes_.LineAt(node.index);
    if (!line) return NoSuchNode(id);
    return LineNode(node.index, *line);
  }
  const FilesPtr files = nodes_.FilesAt(node.manifest);
  if (!files || files->At(node.index) == nullptr) return NoSuchNode(id);
  return FileNode(node.manifest, node.index, *files);
}

Result<fetch::ObjectId> RegistryTree::Identity(std::uint64_t file) {
  const NodeId node = NodeId::Unpack(file);
  const FilesPtr files = nodes_.FilesAt(node.manifest);
  const VersionFiles::Node* const found = files ? files->At(node.index) : nullptr;
  if (found == nullptr) return NoSuchNode(file);
  if (!found->is_file) return Fail(Errc::kInvalid, fmt::format("{}: not a file", found->name));
  return files->Identity(node.index);
}

Result<std::shared_ptr<index::CachedObject>> RegistryTree::Open(std::uint64_t file) {
  auto id = Identity(file);
  if (!id) return std::unexpected(std::move(id.error()));
  const NodeId node = NodeId::Unpack(file);
  const FilesPtr files = nodes_.FilesAt(node.manifest);
  auto object = options_.cache->Get(*id, files->origin());
  NoteShard(node, files, object);
  return object;
}

Result<std::shared_ptr<fetch::Origin>> RegistryTree::OriginOf(std::uint64_t file) {
  if (auto id = Identity(file); !id) return std::unexpected(std::move(id.error()));
  return nodes_.FilesAt(NodeId::Unpack(file).manifest)->origin();
}

std::optional<SignedPlace> RegistryTree::SignatureOf(std::uint64_t file) const {
  const NodeId node = NodeId::Unpack(file);
  const FilesPtr files = nodes_.FilesAt(node.manifest);
  auto found = files ? files->FindAbove(node.index, kSignatureName) : std::nullopt;
  if (!found) return std::nullopt;
  return SignedPlace{.signature = NodeId{.manifest = node.manifest, .index = found->first}.Pack(),
                     .path = std::move(found->second)};
}

std::chrono::milliseconds RegistryTree::NegativeTtl(std::uint64_t directory) {
  const NodeId node = NodeId::Unpack(directory);
  const FilesPtr files = directory == kRootId ? nullptr : nodes_.FilesAt(node.manifest);
  return files && files->manifest().version.ready ? std::chrono::milliseconds(kForever)
                                                  : kNegativeTtl;
}

Result<std::string> RegistryTree::ReadLink(std::uint64_t id) {
  const NodeId node = NodeId::Unpack(id);
  const auto line = node.manifest == kLines ? nodes_.LineAt(node.index) : std::nullopt;
  if (!line || line->target.empty()) {
    return Fail(Errc::kInvalid, fmt::format("node {}: not a symbolic link", id));
  }
  return line->target;
}

std::vector<PendingSwitch> RegistryTree::PendingSwitches() const {
  return promotions_ ? promotions_->List() : std::vector<PendingSwitch>();
}

std::vector<ListedVersion> RegistryTree::ListedVersions(std::string_view) const {
  const auto loaded = catalog_->LoadedFiles();
  std::vector<ListedVersion> versions;
  versions.reserve(loaded.size());
  for (const FilesPtr& files : loaded) {
    const fetch::VersionManifest& manifest = files->manifest();
    versions.push_back({manifest.model, manifest.version.number, files->Identities()});
  }
  return versions;
}

Result<ListedVersion> RegistryTree::VersionAt(std::uint32_t line) const {
  const auto known = nodes_.LineAt(line);
  const auto model = known ? nodes_.ModelAt(known->model) : std::nullopt;
  if (!model || !known->target.empty()) return NoSuch("version", std::to_string(line));
  ListedVersion version{.model = model->raw, .number = known->version.number, .files = {}};
  FilesPtr files = catalog_->KnownFiles(model->raw, known->version);
  // Of a version that is not ready, what a predecessor knew.
  if (!files) files = nodes_.FilesAt(known->files);
  if (files) version.files = files->Identities();
  return version;
}

Tree::Totals RegistryTree::Listed() const {
  Totals totals;
  for (const auto& files : catalog_->LoadedFiles()) {
    totals.files += files->file_count();
    totals.bytes += files->bytes();
  }
  return totals;
}

std::optional<std::vector<fetch::ObjectId>> RegistryTree::ListedFiles(std::string_view) const {
  if (!catalog_->KnownModels()) return std::nullopt;
  std::vector<fetch::ObjectId> ids;
  for (const auto& files : catalog_->LoadedFiles()) {
    std::ranges::move(files->Identities(), std::back_inserter(ids));
  }
  return ids;
}

}  // namespace modelfs::fs
