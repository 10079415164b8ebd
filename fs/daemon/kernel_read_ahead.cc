#include "fs/daemon/kernel_read_ahead.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace modelfs::fs {
namespace {

std::optional<std::uint64_t> NumberIn(const std::string& path) {
  std::ifstream in(path);
  std::uint64_t number = 0;
  if (!(in >> number)) return std::nullopt;
  return number;
}

}  // namespace

std::optional<std::uint64_t> KernelReadAheadKb(unsigned minor) {
  return NumberIn(fmt::format("/sys/class/bdi/0:{}/read_ahead_kb", minor));
}

std::optional<std::uint64_t> KernelMostRequestKb() {
  const auto pages = NumberIn("/proc/sys/fs/fuse/max_pages_limit");
  if (!pages) return std::nullopt;
  return *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
}

}  // namespace modelfs::fs
