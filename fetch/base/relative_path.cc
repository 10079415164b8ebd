#include "fetch/base/relative_path.h"

#include <algorithm>

namespace modelfs {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxPathBytes = 4096;

}  // namespace

bool IsSafeRelativePath(std::string_view path) {
  if (path.empty() || path.size() > kMaxPathBytes || path.find('\0') != std::string_view::npos) {
    return false;
  }
  std::size_t depth = 0;
  for (;;) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || ++depth > kMaxDepth) return false;
    if (slash == path.size()) return true;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace modelfs
