#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/tree/tree.h"

namespace modelfs::test {

// What a tree answers inside the call; what is not at hand then is kTimeout.

inline Result<fs::Node> LookupNow(fs::Tree& tree, std::uint64_t parent, std::string_view name) {
  std::optional<Result<fs::Node>> answer;
  tree.Lookup(parent, name, [&](Result<fs::Node> node) { answer = std::move(node); });
  return answer ? std::move(*answer) : Fail(Errc::kTimeout, "not at hand");
}

/// Looks `path` up from the root, name by name.
inline Result<fs::Node> FindNow(fs::Tree& tree, std::initializer_list<std::string_view> path) {
  Result<fs::Node> node = tree.Get(fs::Tree::kRootId);
  for (const auto name : path) {
    if (node) node = LookupNow(tree, node->id, name);
  }
  return node;
}

/// One page of names; a failure is the name "error: ...".
inline std::vector<std::string> NamesNow(fs::Tree& tree, std::uint64_t directory,
                                         std::uint64_t from = 0, std::size_t limit = 1000) {
  std::vector<std::string> names;
  tree.Read(directory, from, limit, [&](Result<std::vector<fs::DirectoryEntry>> entries) {
    if (!entries) return names.push_back("error: " + entries.error().what);
    for (auto& entry : *entries) names.push_back(entry.name);
  });
  return names;
}

}  // namespace modelfs::test
