#include "fs/tree/report_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "fetch/base/percent.h"
#include "fs/tree/node_id.h"

namespace modelfs::fs {
namespace {

constexpr std::string_view kProgressName = "progress.json";

/// The files of the top, by index - 1: 0 with that manifest would be no node id of a file.
constexpr std::array<std::string_view, 2> kFixedNames = {"status.json", "version"};
constexpr std::uint32_t kStatus = 1;

/// Positions in the top directory: fixed files, named registries, then the models of the root's.
constexpr std::uint64_t kNamedFrom = 16;
constexpr std::uint64_t kModelsFrom = 64;

/// Registries come and go with the configuration.
constexpr std::chrono::seconds kNameTtl{1};

std::unexpected<Error> NoSuchNode(std::uint64_t id) {
  return Fail(Errc::kNotFound, fmt::format("node {}: never given out", id));
}

std::unexpected<Error> NoSuch(std::string_view name) {
  return Fail(Errc::kNotFound,
              fmt::format("{}/{}: no such file", ReportTree::kName, Printable(name, 128)));
}

std::unexpected<Error> NoBytes(std::uint64_t id) {
  return Fail(Errc::kInvalid, fmt::format("node {}: a status file, no origin's", id));
}

bool IsFixed(std::string_view name) {
  return std::ranges::find(kFixedNames, name) != kFixedNames.end();
}

/// A model that is called as a file of ours: its first letter is escaped, which no name that
/// EscapeName makes can look like.
std::string ModelNameHere(std::string name) {
  if (!IsFixed(name)) return name;
  return fmt::format("%{:02X}{}", static_cast<unsigned char>(name.front()), name.substr(1));
}

/// The name in the registry's tree of what is called `name` here.
std::string ModelNameThere(std::string_view name) {
  for (const std::string_view fixed : kFixedNames) {
    if (name == ModelNameHere(std::string(fixed))) return std::string(fixed);
  }
  return std::string(name);
}

}  // namespace

ReportTree::ReportTree(Options options, Registries registries)
    : options_(std::move(options)), registries_(std::move(registries)) {}

std::uint64_t ReportTree::Id(Kind kind, std::uint32_t registry, std::uint32_t index) {
  return NodeId{.manifest = static_cast<std::uint32_t>(kind) << 4 | registry, .index = index}
      .Pack();
}

ReportTree::Kind ReportTree::KindOf(std::uint64_t id) {
  const std::uint32_t kind = NodeId::Unpack(id).manifest >> 4;
  return kind < static_cast<std::uint32_t>(Kind::kNone) ? static_cast<Kind>(kind) : Kind::kNone;
}

std::uint32_t ReportTree::RegistryOf(std::uint64_t id) { return NodeId::Unpack(id).manifest & 0xf; }

std::shared_ptr<RegistryTree> ReportTree::TreeAt(std::uint32_t registry) const {
  for (Registry& known : registries_()) {
    if (known.number == registry) return std::move(known.tree);
  }
  return nullptr;
}

Node ReportTree::Mirror(const Node& node, std::uint32_t registry) {
  const NodeId there = NodeId::Unpack(node.id);
  const Kind kind = there.manifest == RegistryNodes::kModels ? Kind::kModel : Kind::kLine;
  Node here = node;
  here.id = Id(kind, registry, there.index);
  return here;
}

Result<Node> ReportTree::Get(std::uint64_t id) {
  const Node directory{.id = id,
                       .kind = Node::Kind::kDirectory,
                       .size_bytes = 0,
                       .modified = created_,
                       .valid_for = kNameTtl};
  const Node report{.id = id,
                    .kind = Node::Kind::kReport,
                    .size_bytes = 0,
                    .modified = std::chrono::system_clock::now(),
                    .valid_for = kNameTtl};
  if (id == kRootId) return directory;
  const std::uint32_t index = NodeId::Unpack(id).index;
  const std::uint32_t registry = RegistryOf(id);
  if (KindOf(id) == Kind::kFixed) {
    if (registry != 0 || index < 1 || index > kFixedNames.size()) return NoSuchNode(id);
    return report;
  }
  const auto tree = TreeAt(registry);
  if (!tree) return NoSuchNode(id);
  const auto mirrored = [&](std::uint32_t manifest) -> Result<Node> {
    auto node = tree->Get(NodeId{.manifest = manifest, .index = index}.Pack());
    if (!node) return NoSuchNode(id);
    return Mirror(*node, registry);
  };
  switch (KindOf(id)) {
    case Kind::kNone:
    case Kind::kFixed: break;  // Seen above.
    case Kind::kRegistry: return directory;
    case Kind::kModel: return mirrored(RegistryNodes::kModels);
    case Kind::kLine: return mirrored(RegistryNodes::kLines);
    case Kind::kProgress:
      if (auto line = mirrored(RegistryNodes::kLines); !line) return line;
      return report;
  }
  return NoSuchNode(id);
}

void ReportTree::Lookup(std::uint64_t parent, std::string_view name, Done<Node> done) {
  if (parent == kRootId) return LookupTop(name, std::move(done));
  const std::uint32_t registry = RegistryOf(parent);
  const std::uint32_t index = NodeId::Unpack(parent).index;
  const auto tree = TreeAt(registry);
  if (!tree) return done(NoSuchNode(parent));
  switch (KindOf(parent)) {
    case Kind::kRegistry: return LookupIn(tree, registry, kRootId, name, std::move(done));
    case Kind::kModel:
      return LookupIn(tree, registry,
                      NodeId{.manifest = RegistryNodes::kModels, .index = index}.Pack(), name,
                      std::move(done));
    case Kind::kLine:
      if (name != kProgressName) return done(NoSuch(name));
      return done(Get(Id(Kind::kProgress, registry, index)));
    case Kind::kFixed:
    case Kind::kProgress:
    case Kind::kNone: break;
  }
  done(NoSuch(name));
}

void ReportTree::LookupTop(std::string_view name, Done<Node> done) {
  const auto fixed = std::ranges::find(kFixedNames, name);
  if (fixed != kFixedNames.end()) {
    return done(
        Get(Id(Kind::kFixed, 0, static_cast<std::uint32_t>(fixed - kFixedNames.begin()) + 1)));
  }
  const auto registries = registries_();
  for (const Registry& known : registries) {
    if (!known.gone && !known.name.empty() && known.name == name) {
      return done(Get(Id(Kind::kRegistry, known.number, 0)));
    }
  }
  for (const Registry& known : registries) {
    if (known.gone || !known.name.empty()) continue;
    return LookupIn(known.tree, known.number, kRootId, ModelNameThere(name), std::move(done));
  }
  done(NoSuch(name));
}

void ReportTree::LookupIn(const std::shared_ptr<RegistryTree>& tree, std::uint32_t registry,
                          std::uint64_t directory, std::string_view name, Done<Node> done) {
  tree->Lookup(directory, name, [registry, done = std::move(done)](Result<Node> node) mutable {
    if (node) node = Mirror(*node, registry);
    done(std::move(node));
  });
}

void ReportTree::Read(std::uint64_t directory, std::uint64_t from, std::size_t limit,
                      Done<std::vector<DirectoryEntry>> done) {
  if (directory == kRootId) return ReadTop(from, limit, std::move(done));
  const std::uint32_t registry = RegistryOf(directory);
  const std::uint32_t index = NodeId::Unpack(directory).index;
  const auto tree = TreeAt(registry);
  if (!tree) return done(NoSuchNode(directory));
  switch (KindOf(directory)) {
    case Kind::kRegistry:
      return ReadIn(tree, registry, kRootId, from, 0, limit, {}, std::move(done));
    case Kind::kModel:
      return ReadIn(tree, registry,
                    NodeId{.manifest = RegistryNodes::kModels, .index = index}.Pack(), from, 0,
                    limit, {}, std::move(done));
    case Kind::kLine: {
      std::vector<DirectoryEntry> entries;
      auto progress = Get(Id(Kind::kProgress, registry, index));
      if (progress && from == 0) entries.push_back({std::string(kProgressName), 1, *progress});
      return done(std::move(entries));
    }
    case Kind::kFixed:
    case Kind::kProgress:
    case Kind::kNone: break;
  }
  done(NoSuchNode(directory));
}

void ReportTree::ReadTop(std::uint64_t from, std::size_t limit,
                         Done<std::vector<DirectoryEntry>> done) {
  std::vector<DirectoryEntry> entries;
  const auto add = [&](std::string name, std::uint64_t position, std::uint64_t id) {
    if (position < from || entries.size() == limit) return;
    if (auto node = Get(id)) entries.push_back({std::move(name), position + 1, *node});
  };
  for (std::uint32_t i = 0; i < kFixedNames.size(); ++i) {
    add(std::string(kFixedNames.at(i)), i, Id(Kind::kFixed, 0, i + 1));
  }
  const auto registries = registries_();
  for (const Registry& known : registries) {
    if (known.gone || known.name.empty() || IsFixed(known.name)) continue;
    add(known.name, kNamedFrom + known.number, Id(Kind::kRegistry, known.number, 0));
  }
  const auto unnamed = std::ranges::find_if(
      registries, [](const Registry& known) { return !known.gone && known.name.empty(); });
  if (unnamed == registries.end() || entries.size() == limit) return done(std::move(entries));
  const std::uint64_t first = std::max(from, kModelsFrom) - kModelsFrom;
  ReadIn(unnamed->tree, unnamed->number, kRootId, first, kModelsFrom, limit, std::move(entries),
         std::move(done));
}

void ReportTree::ReadIn(const std::shared_ptr<RegistryTree>& tree, std::uint32_t registry,
                        std::uint64_t directory, std::uint64_t from, std::uint64_t shift,
                        std::size_t limit, std::vector<DirectoryEntry> before,
                        Done<std::vector<DirectoryEntry>> done) {
  const std::size_t room = limit - before.size();
  tree->Read(directory, from, room,
             [registry, shift, before = std::move(before),
              done = std::move(done)](Result<std::vector<DirectoryEntry>> entries) mutable {
               if (!entries) {
                 // A registry that is down must not hide the status of the mount.
                 if (!before.empty()) return done(std::move(before));
                 return done(std::unexpected(std::move(entries.error())));
               }
               before.reserve(before.size() + entries->size());
               for (DirectoryEntry& entry : *entries) {
                 if (shift > 0) entry.name = ModelNameHere(std::move(entry.name));
                 before.push_back(
                     {std::move(entry.name), entry.next + shift, Mirror(entry.node, registry)});
               }
               done(std::move(before));
             });
}

bool ReportTree::IsReport(std::uint64_t id) const {
  if (id == kRootId) return false;
  return KindOf(id) == Kind::kFixed || KindOf(id) == Kind::kProgress;
}

void ReportTree::Report(std::uint64_t id, Done<std::string> done) {
  if (!IsReport(id)) return done(Fail(Errc::kInvalid, fmt::format("node {}: no report", id)));
  if (auto known = Get(id); !known) return done(std::unexpected(std::move(known.error())));
  const std::uint32_t index = NodeId::Unpack(id).index;
  if (KindOf(id) == Kind::kFixed) {
    if (index == kStatus) return options_.reports->Status(std::move(done));
    return done(options_.reports->Version() + "\n");
  }
  options_.reports->Progress(
      [tree = TreeAt(RegistryOf(id)), index] { return tree->VersionAt(index); }, std::move(done));
}

Result<std::string> ReportTree::ReadLink(std::uint64_t id) {
  const auto tree = KindOf(id) == Kind::kLine ? TreeAt(RegistryOf(id)) : nullptr;
  if (!tree) return Fail(Errc::kInvalid, fmt::format("node {}: not a symbolic link", id));
  return tree->ReadLink(
      NodeId{.manifest = RegistryNodes::kLines, .index = NodeId::Unpack(id).index}.Pack());
}

std::chrono::milliseconds ReportTree::NegativeTtl(std::uint64_t) { return kNameTtl; }

Result<std::shared_ptr<index::CachedObject>> ReportTree::Open(std::uint64_t file) {
  return NoBytes(file);
}

Result<fetch::ObjectId> ReportTree::Identity(std::uint64_t file) { return NoBytes(file); }

Result<std::shared_ptr<fetch::Origin>> ReportTree::OriginOf(std::uint64_t file) {
  return NoBytes(file);
}

}  // namespace modelfs::fs
