#pragma once

#include <algorithm>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "fetch/base/relative_path.h"
#include "index/layout/layout_reader.h"
#include "tests/unit/index/layout/sparse_file.h"

namespace modelfs::test {

/// A reader that was fed to its end, and whether it kept what it promises.
struct LayoutWalk {
  std::vector<ByteRange> needs;
  index::LayoutStep end;
  /// The first promise that was broken; empty when none was.
  std::string broken;

  bool doubted() const { return std::holds_alternative<index::LayoutDoubt>(end); }
  /// Empty where there is none.
  index::Layout layout() const {
    const auto* layout = std::get_if<index::Layout>(&end);
    return layout == nullptr ? index::Layout{} : *layout;
  }
  std::string why() const {
    const auto* doubt = std::get_if<index::LayoutDoubt>(&end);
    return doubt == nullptr ? std::string() : doubt->why;
  }
  std::uint64_t asked_bytes() const {
    std::uint64_t bytes = 0;
    for (const ByteRange need : needs) bytes += need.size();
    return bytes;
  }
};

/// What is wrong with `layout` for a file of that size; empty: nothing.
inline std::string BrokenPromise(const index::Layout& layout, std::uint64_t size_bytes) {
  std::uint64_t end = 0;
  for (const ByteRange part : layout.parts) {
    if (part.empty()) return "a part is empty";
    if (part.begin < end) return "parts do not ascend, or overlap";
    if (part.end > size_bytes) return "a part is not within the object";
    end = part.end;
  }
  if (layout.parts.size() > index::kMostLayoutParts) return "too many parts";
  if (layout.siblings.size() > index::kMostLayoutSiblings) return "too many siblings";
  for (const std::string& sibling : layout.siblings) {
    if (!IsSafeRelativePath(sibling)) return "a sibling is not safe";
  }
  const std::set<std::string> once(layout.siblings.begin(), layout.siblings.end());
  if (once.size() != layout.siblings.size()) return "a sibling comes twice";
  return {};
}

/// Plays the caller. A file of no known structure ends in doubt, with no need.
inline LayoutWalk WalkLayout(std::string_view name, const SparseFile& file) {
  LayoutWalk walk;
  const auto reader = index::LayoutReader::For(name, file.size_bytes());
  if (!reader) {
    walk.end = index::LayoutDoubt{"unknown"};
    return walk;
  }
  walk.end = reader->Begin();
  while (const auto* need = std::get_if<index::LayoutNeed>(&walk.end)) {
    const ByteRange range = need->range;
    if (range.empty() || range.end > file.size_bytes()) walk.broken = "a need is not in the object";
    for (const ByteRange before : walk.needs) {
      if (!before.Intersect(range).empty()) walk.broken = "a need was asked for before";
    }
    walk.needs.push_back(range);
    if (walk.asked_bytes() > index::kMostLayoutBytes) walk.broken = "too much was asked for";
    if (!walk.broken.empty()) return walk;
    const std::string bytes = file.Read(range);
    walk.end = reader->Feed(std::as_bytes(std::span(bytes)));
  }
  if (const auto* layout = std::get_if<index::Layout>(&walk.end)) {
    walk.broken = BrokenPromise(*layout, file.size_bytes());
  }
  return walk;
}

}  // namespace modelfs::test
