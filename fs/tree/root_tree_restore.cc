// How a tree goes on with the node ids of another process.

#include <algorithm>
#include <type_traits>
#include <utility>

#include "fs/tree/gone_registry.h"
#include "fs/tree/node_record.h"
#include "fs/tree/root_tree.h"

namespace modelfs::fs {

Result<void> RootTree::Restore() {
  return options_.nodes->Replay([this](std::string_view bytes) -> Result<void> {
    auto record = DecodeNodeRecord(bytes);
    if (!record) return std::unexpected(std::move(record.error()));
    return std::visit([this](const auto& known) { return RestoreRecord(known); }, *record);
  });
}

template <class Record>
Result<void> RootTree::RestoreRecord(const Record& record) {
  if constexpr (std::is_same_v<Record, RegistryRecord>) {
    return RestoreRegistry(record);
  } else if constexpr (std::is_same_v<Record, BackingRecord>) {
    return {};  // The session's.
  } else if constexpr (requires { record.registry; }) {
    std::shared_ptr<RegistryTree> tree;
    {
      MutexLock lock(mutex_);
      if (record.registry > 0 && record.registry <= registries_.size()) {
        tree = registries_[record.registry - 1].tree;
      }
    }
    if (tree) return tree->Restore(record);
    return Fail(Errc::kCorrupt, "node log: something of no registry");
  } else {
    return plain_->Restore(record);
  }
}

Result<void> RootTree::RestoreRegistry(const RegistryRecord& record) {
  MutexLock lock(mutex_);
  if (record.number != registries_.size() + 1 || record.number > kMostRegistries) {
    return Fail(Errc::kCorrupt, "node log: registries out of order");
  }
  const auto same = std::ranges::find_if(options_.sources, [&](const Source& source) {
    return source.registry && source.name == record.name && source.models == record.models &&
           source.registry->Domain() == record.domain;
  });
  const bool known = same != options_.sources.end();
  Source source =
      known ? *same
            : Source{.name = record.name,
                     .origin = nullptr,
                     .registry = std::make_shared<GoneRegistry>(record.registry, record.domain),
                     .models = record.models};
  auto tree = MakeRegistry(source, record.number, options_.listing_ttl);
  if (!known) tree->catalog().Stop();  // There is nobody to ask.
  // One that went and came back is the last of its name.
  for (Mounted& before : registries_) {
    before.gone = before.gone || before.source.registry == source.registry;
  }
  registries_.push_back({std::move(source), std::move(tree), record.number, !known});
  return {};
}

}  // namespace modelfs::fs
