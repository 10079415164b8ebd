#include "fs/tree/version_files.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "fs/tree/names.h"

namespace modelfs::fs {
namespace {

std::chrono::system_clock::time_point FromMilliseconds(std::int64_t ms) {
  return std::chrono::system_clock::time_point(std::chrono::milliseconds(ms));
}

}  // namespace

VersionFiles::VersionFiles(std::shared_ptr<const fetch::VersionManifest> manifest,
                           std::shared_ptr<fetch::Origin> origin)
    : manifest_(std::move(manifest)), origin_(std::move(origin)) {
  nodes_.push_back(
      {.name = {}, .directory = {}, .modified = FromMilliseconds(manifest_->version.created_ms)});
  // Paths of files are sorted, so that each folder's are in a row.
  struct Folder {
    std::uint32_t number;
    std::size_t begin;
    std::size_t end;
    std::string path;
  };
  std::vector<Folder> folders{{kTop, 0, manifest_->files.size(), ""}};
  std::uint64_t hidden = 0;
  for (std::size_t next = 0; next < folders.size(); ++next) {
    const Folder folder = folders[next];
    struct Child {
      Node node;
      std::size_t begin;
      std::size_t end;
      std::string path;
    };
    std::vector<Child> children;
    for (std::size_t at = folder.begin; at < folder.end;) {
      const fetch::ManifestFile& file = manifest_->files[at];
      const std::string_view rest = std::string_view(file.path).substr(folder.path.size());
      const std::size_t slash = rest.find('/');
      std::size_t end = at + 1;
      Node node{.name = {}, .directory = folder.path};
      std::string path;
      if (slash == std::string_view::npos) {
        node.is_file = true;
        node.file = static_cast<std::uint32_t>(at);
        node.size_bytes = file.size_bytes;
        node.modified = file.modified;
      } else {
        path = file.path.substr(0, folder.path.size() + slash + 1);
        while (end < folder.end && manifest_->files[end].path.starts_with(path)) ++end;
      }
      if (node.modified == std::chrono::system_clock::time_point{}) {
        node.modified = FromMilliseconds(manifest_->version.created_ms);
      }
      if (auto name = EscapeName(rest.substr(0, slash))) {
        node.name = *std::move(name);
        children.push_back({std::move(node), at, end, std::move(path)});
      } else {
        ++hidden;
      }
      at = end;
    }
    // Where a name is both, the folder is shown.
    std::ranges::sort(children, {}, [](const Child& child) {
      return std::tuple(std::string_view(child.node.name), child.node.is_file, child.begin);
    });
    const auto twins = std::ranges::unique(
        children, {}, [](const Child& child) { return std::string_view(child.node.name); });
    hidden += twins.size();
    children.erase(twins.begin(), twins.end());
    nodes_[folder.number].first = static_cast<std::uint32_t>(nodes_.size());
    nodes_[folder.number].count = static_cast<std::uint32_t>(children.size());
    for (Child& child : children) {
      if (child.node.is_file) {
        ++file_count_;
        bytes_ += child.node.size_bytes;
      } else {
        folders.push_back({static_cast<std::uint32_t>(nodes_.size()), child.begin, child.end,
                           std::move(child.path)});
      }
      nodes_.push_back(std::move(child.node));
    }
  }
  if (hidden > 0) {
    spdlog::warn(
        "registry.names_hidden version=\"{}\" count={} reason=\"no safe file name, or a "
        "folder of the same name\"",
        origin_->Describe(), hidden);
  }
}

const VersionFiles::Node* VersionFiles::At(std::uint32_t number) const {
  return number < nodes_.size() ? &nodes_[number] : nullptr;
}

std::optional<std::uint32_t> VersionFiles::Find(std::uint32_t parent, std::string_view name) const {
  const Node* const folder = At(parent);
  if (folder == nullptr || folder->is_file) return std::nullopt;
  const auto begin = nodes_.begin() + folder->first;
  const auto end = begin + folder->count;
  const auto found = std::ranges::lower_bound(
      begin, end, name, {}, [](const Node& node) { return std::string_view(node.name); });
  if (found == end || found->name != name) return std::nullopt;
  return static_cast<std::uint32_t>(found - nodes_.begin());
}

std::optional<std::pair<std::uint32_t, std::string>> VersionFiles::FindAbove(
    std::uint32_t number, std::string_view name) const {
  const Node* const file = At(number);
  if (file == nullptr || !file->is_file) return std::nullopt;
  std::optional<std::pair<std::uint32_t, std::string>> nearest;
  std::string_view rest = manifest_->files[file->file].path;
  for (std::optional<std::uint32_t> folder = kTop; folder;) {
    const auto found = Find(*folder, name);
    if (found && nodes_[*found].is_file) nearest.emplace(*found, std::string(rest));
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) break;
    const auto shown = EscapeName(rest.substr(0, slash));
    folder = shown ? Find(*folder, *shown) : std::nullopt;
    rest.remove_prefix(slash + 1);
  }
  return nearest;
}

fetch::ObjectId VersionFiles::Identity(std::uint32_t number) const {
  const Node& node = nodes_[number];
  const fetch::ManifestFile& file = manifest_->files[node.file];
  return origin_->Pin(node.directory, {.name = file.path.substr(node.directory.size()),
                                       .kind = fetch::Entry::Kind::kFile,
                                       .size_bytes = file.size_bytes,
                                       .modified = file.modified,
                                       .tag = file.tag});
}

std::vector<fetch::ObjectId> VersionFiles::Identities() const {
  std::vector<fetch::ObjectId> ids;
  for (std::uint32_t number = 0; number < nodes_.size(); ++number) {
    if (nodes_[number].is_file) ids.push_back(Identity(number));
  }
  return ids;
}

}  // namespace modelfs::fs
