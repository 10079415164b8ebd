// How a tree fetches what a scan of its directories will want.
#include <string>
#include <utility>
#include <vector>

#include "fs/tree/node_id.h"
#include "fs/tree/origin_tree.h"

namespace modelfs::fs {

/// Small files of the directory go to the cache, all at once.
void OriginTree::FetchNeighbours(const Directory& directory) {
  std::uint64_t bytes = 0;
  for (const auto& [index, item] : directory.Slice(0, ScanAhead::kMostFiles)) {
    if (item.kind != fetch::Entry::Kind::kFile || item.size_bytes == 0) continue;
    if (item.size_bytes > ScanAhead::kSmallBytes) continue;
    bytes += item.size_bytes;
    if (bytes > ScanAhead::kMostBytes) return;
    const fetch::ObjectId id = IdentityOf(directory, item);
    if (const auto known = options_.cache->Find(id); known && known->whole) continue;
    options_.cache->Get(id, directory.origin())->Want({0, item.size_bytes}, index::Priority::kPlan);
  }
}

/// Folders beside the one that node `id` is are listed, all at once.
void OriginTree::ListNeighbours(std::uint64_t id) {
  const NodeId node = NodeId::Unpack(id);
  const auto parent = node.manifest == 0 ? nullptr : BySerial(node.manifest);
  if (!parent || !scans_.NoteFolder(parent->serial(), node.index, Clock::now())) return;
  std::size_t folders = 0;
  for (const auto& [index, item] : parent->Slice(0, ScanAhead::kMostFiles)) {
    if (item.kind != fetch::Entry::Kind::kDirectory || index == node.index) continue;
    if (++folders > ScanAhead::kMostFolders) return;
    auto directory = DirectoryOf(NodeId{.manifest = parent->serial(), .index = index}.Pack());
    if (directory && !(*directory)->Listed()) Ensure(*directory, [](const Result<void>&) {});
  }
}

void OriginTree::NoteShard(const std::shared_ptr<Directory>& directory, const Directory::Item& item,
                           const std::shared_ptr<index::CachedObject>& object) {
  constexpr std::size_t kMostLooked = 20'000;
  const std::string name = item.RawName();
  if (!ShardsAhead::IsOfInterest(name)) return;
  shards_->Opened(std::to_string(directory->serial()), name, object, [directory] {
    std::vector<ShardsAhead::File> files;
    for (const auto& [index, entry] : directory->Slice(0, kMostLooked)) {
      if (entry.kind != fetch::Entry::Kind::kFile) continue;
      std::string entry_name = entry.RawName();
      if (!ShardsAhead::IsOfInterest(entry_name)) continue;
      files.push_back({std::move(entry_name), IdentityOf(*directory, entry), directory->origin()});
    }
    return files;
  });
}

/// Somebody looks into the directory that node `id` is, and that was listed.
void OriginTree::NoteLook(std::uint64_t id, const Directory& directory) {
  if (scans_.NoteListed(directory.serial(), Clock::now())) FetchNeighbours(directory);
  ListNeighbours(id);
}

}  // namespace modelfs::fs
