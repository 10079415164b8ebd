#include "fs/config/memory_limit.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "fetch/base/size.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

std::optional<std::uint64_t> Number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

/// "max", and version 1's nearly 2^63, are no limit.
std::uint64_t ReadLimit(const stdfs::path& file) {
  std::ifstream in(file);
  std::string text;
  if (!(in >> text)) return kNoLimit;
  return Number(text).value_or(kNoLimit);
}

/// The limits of `group` (as /proc/self/cgroup has it) and of all groups above it. In a container
/// the path may be the host's and not exist here; the loop then ends at the one that does.
std::uint64_t LimitUpwards(const stdfs::path& hierarchy, std::string group, const char* file) {
  std::uint64_t limit = kNoLimit;
  while (true) {
    while (group.ends_with('/')) group.pop_back();
    limit = std::min(limit, ReadLimit(stdfs::path(hierarchy.string() + group) / file));
    const std::size_t slash = group.rfind('/');
    if (slash == std::string::npos) return limit;
    group.resize(slash);
  }
}

bool HasMemoryController(std::string_view controllers) {
  while (!controllers.empty()) {
    const std::size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == "memory") return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

std::uint64_t CgroupLimit(const stdfs::path& root) {
  std::uint64_t limit = kNoLimit;
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {  // "4:memory:/a/b", "0::/a/b"
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      limit = std::min(limit, LimitUpwards(root / "sys/fs/cgroup", group, "memory.max"));
      limit = std::min(limit, LimitUpwards(root / "sys/fs/cgroup/unified", group, "memory.max"));
    } else if (HasMemoryController(controllers)) {
      limit = std::min(limit,
                       LimitUpwards(root / "sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
  }
  return limit;
}

std::uint64_t TotalMemory(const stdfs::path& root) {
  std::ifstream in(root / "proc/meminfo");
  for (std::string line; std::getline(in, line);) {  // "MemTotal:       24684112 kB"
    if (!line.starts_with("MemTotal:")) continue;
    const std::size_t digits = line.find_first_of("0123456789");
    if (digits == std::string::npos) break;
    if (const auto kib = Number(std::string_view(line).substr(digits))) return *kib * kKiB;
  }
  return kNoLimit;
}

}  // namespace

std::uint64_t MemoryLimitBytes(const stdfs::path& root) {
  const std::uint64_t limit = std::min(CgroupLimit(root), TotalMemory(root));
  return limit == kNoLimit ? kGiB : limit;
}

}  // namespace modelfs::fs
