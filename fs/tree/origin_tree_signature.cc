// Which signature speaks for a file of a plain source.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "fs/tree/names.h"
#include "fs/tree/node_id.h"
#include "fs/tree/origin_tree.h"

namespace modelfs::fs {

std::shared_ptr<Directory> OriginTree::TopOf(const fetch::Origin* origin) const {
  std::uint32_t serial = 0;
  {
    MutexLock lock(mutex_);
    const auto slot = std::ranges::find_if(
        slots_, [&](const Slot& each) { return each.source.origin.get() == origin; });
    if (slot != slots_.end()) serial = slot->serial;
  }
  return serial == 0 ? nullptr : BySerial(serial);
}

/// Folders above a file that the kernel knows have been listed, or it would not know it.
std::optional<SignedPlace> OriginTree::SignatureOf(std::uint64_t file) const {
  const NodeId node = NodeId::Unpack(file);
  const auto holder = node.manifest == 0 ? nullptr : BySerial(node.manifest);
  const auto item = holder ? holder->At(node.index) : std::nullopt;
  if (!item || item->kind != fetch::Entry::Kind::kFile) return std::nullopt;
  const std::string path = holder->path() + item->RawName();
  std::string_view rest = path;
  std::optional<SignedPlace> nearest;
  for (auto folder = TopOf(holder->origin().get()); folder;) {
    const auto index = folder->Find(kSignatureName);
    const auto found = index ? folder->At(*index) : std::nullopt;
    if (found && found->kind == fetch::Entry::Kind::kFile) {
      nearest = {.signature = NodeId{.manifest = folder->serial(), .index = *index}.Pack(),
                 .path = std::string(rest)};
    }
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) break;
    const auto shown = EscapeName(rest.substr(0, slash));
    const auto child = shown ? folder->Find(*shown) : std::nullopt;
    const auto below = child ? folder->At(*child) : std::nullopt;
    folder = below && below->child != 0 ? BySerial(below->child) : nullptr;
    rest.remove_prefix(slash + 1);
  }
  return nearest;
}

}  // namespace modelfs::fs
