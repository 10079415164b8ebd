// The directories of a registry's tree.

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "fs/tree/node_id.h"
#include "fs/tree/registry_tree.h"

namespace modelfs::fs {
namespace {

/// Of the nodes `numbers` those from position `from` on, as `entry` says of each. Positions are
/// numbers of nodes, which do not move when the registry changes meanwhile.
template <class EntryOf>
std::vector<DirectoryEntry> Page(std::vector<std::uint32_t> numbers, std::uint64_t from,
                                 std::size_t limit, EntryOf entry) {
  std::ranges::sort(numbers);
  std::vector<DirectoryEntry> entries;
  for (const std::uint32_t number : numbers) {
    if (number < from) continue;
    if (entries.size() == limit) break;
    auto [name, node] = entry(number);
    entries.push_back({std::move(name), std::uint64_t{number} + 1, std::move(node)});
  }
  return entries;
}

}  // namespace

void RegistryTree::Read(std::uint64_t directory, std::uint64_t from, std::size_t limit,
                        Done<std::vector<DirectoryEntry>> done) {
  if (directory == kRootId) return ReadRoot(from, limit, std::move(done));
  const NodeId node = NodeId::Unpack(directory);
  if (node.manifest == RegistryNodes::kModels)
    return ReadModel(node.index, from, limit, std::move(done));
  if (node.manifest != RegistryNodes::kLines) {
    return done(ReadFiles(node.manifest, node.index, from, limit));
  }
  FilesOf(node.index, [self = shared_from_this(), from, limit,
                       done = std::move(done)](Result<std::uint32_t> serial) mutable {
    if (!serial) return done(std::unexpected(std::move(serial.error())));
    done(self->ReadFiles(*serial, VersionFiles::kTop, from, limit));
  });
}

void RegistryTree::ReadRoot(std::uint64_t from, std::size_t limit,
                            Done<std::vector<DirectoryEntry>> done) {
  catalog_->Models(
      RegistryCatalog::Age::kUsual,
      [self = shared_from_this(), from, limit,
       done = std::move(done)](Result<RegistryCatalog::ModelsPtr> models) mutable {
        if (!models) return done(std::unexpected(std::move(models.error())));
        std::vector<std::uint32_t> numbers;
        std::size_t hidden = 0;
        for (const auto& [raw, model] : **models) {
          if (const auto shown = ModelDirectoryName(raw)) {
            numbers.push_back(self->nodes_.NumberOf(model, *shown));
          } else {
            ++hidden;
          }
        }
        if (hidden > 0 && from == 0) {
          spdlog::warn("registry.models_hidden registry={} count={} reason=\"no safe file name\"",
                       self->catalog_->registry().Describe(), hidden);
        }
        done(Page(std::move(numbers), from, limit, [&](std::uint32_t number) {
          const auto model = self->nodes_.ModelAt(number);
          return std::pair(model->shown, self->ModelNode(number, *model));
        }));
      });
}

void RegistryTree::ReadModel(std::uint32_t model, std::uint64_t from, std::size_t limit,
                             Done<std::vector<DirectoryEntry>> done) {
  const auto known = nodes_.ModelAt(model);
  if (!known) return done(Fail(Errc::kNotFound, fmt::format("model {}: no such model", model)));
  if (!catalog_->KnownModels()) {
    // A number from another process may be all there is. Without the links it would not be whole.
    return catalog_->Models(RegistryCatalog::Age::kUsual,
                            [self = shared_from_this(), model, from, limit, done = std::move(done)](
                                Result<RegistryCatalog::ModelsPtr> models) mutable {
                              if (!models) return done(std::unexpected(std::move(models.error())));
                              self->ReadModel(model, from, limit, std::move(done));
                            });
  }
  auto finish = [self = shared_from_this(), model, raw = known->raw, from, limit,
                 done = std::move(done)](Result<RegistryCatalog::VersionsPtr> versions) mutable {
    if (!versions) return done(std::unexpected(std::move(versions.error())));
    std::vector<std::uint32_t> numbers;
    for (const fetch::ModelVersion& version : **versions) {
      numbers.push_back(self->nodes_.NumberOf({.model = model,
                                               .name = std::to_string(version.number),
                                               .target = {},
                                               .version = version}));
    }
    const auto models = self->catalog_->KnownModels();
    if (const auto found = models ? models->find(raw) : RegisteredModels::const_iterator();
        models && found != models->end()) {
      for (auto& [name, target] : self->Links(found->second)) {
        numbers.push_back(self->nodes_.NumberOf(LinkLine(model, std::move(name), target)));
      }
    }
    done(Page(std::move(numbers), from, limit, [&](std::uint32_t number) {
      const auto line = self->nodes_.LineAt(number);
      return std::pair(line->name, self->LineNode(number, *line));
    }));
  };
  catalog_->Versions(known->raw, RegistryCatalog::Age::kUsual, std::move(finish));
}

std::vector<DirectoryEntry> RegistryTree::ReadFiles(std::uint32_t serial, std::uint32_t folder,
                                                    std::uint64_t from, std::size_t limit) const {
  std::vector<DirectoryEntry> entries;
  const FilesPtr files = nodes_.FilesAt(serial);
  const VersionFiles::Node* const node = files ? files->At(folder) : nullptr;
  if (node == nullptr) return entries;
  for (std::uint64_t i = from; i < node->count && entries.size() < limit; ++i) {
    const auto number = node->first + static_cast<std::uint32_t>(i);
    entries.push_back({files->At(number)->name, i + 1, FileNode(serial, number, *files)});
  }
  return entries;
}

void RegistryTree::NoteShard(const NodeId& node, const FilesPtr& files,
                             const std::shared_ptr<index::CachedObject>& object) {
  const auto raw_name = [](const VersionFiles& all, const VersionFiles::Node& one) {
    return all.manifest().files[one.file].path.substr(one.directory.size());
  };
  const VersionFiles::Node& opened = *files->At(node.index);
  const std::string name = raw_name(*files, opened);
  if (!ShardsAhead::IsOfInterest(name)) return;
  std::string key = fmt::format("{}:{}", node.manifest, opened.directory);
  shards_->Opened(std::move(key), name, object, [files, raw_name, folder = opened.directory] {
    std::vector<ShardsAhead::File> found;
    for (std::uint32_t number = 0; const VersionFiles::Node* other = files->At(number); ++number) {
      if (!other->is_file || other->directory != folder) continue;
      std::string other_name = raw_name(*files, *other);
      if (!ShardsAhead::IsOfInterest(other_name)) continue;
      found.push_back({std::move(other_name), files->Identity(number), files->origin()});
    }
    return found;
  });
}

}  // namespace modelfs::fs
