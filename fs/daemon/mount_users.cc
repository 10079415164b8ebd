#include "fs/daemon/mount_users.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <fstream>

#include "fetch/base/handle.h"

namespace modelfs::fs {
namespace {

using Directory = Handle<DIR, closedir>;

std::string LinkTarget(const std::string& link) {
  std::array<char, PATH_MAX> target;
  const ssize_t n = ::readlink(link.c_str(), target.data(), target.size());
  return n > 0 ? std::string(target.data(), static_cast<std::size_t>(n)) : "";
}

bool IsBelow(std::string_view path, std::string_view mountpoint) {
  return path.starts_with(mountpoint) &&
         (path.size() == mountpoint.size() || path[mountpoint.size()] == '/');
}

template <class Visit>
void ForEachName(const std::string& path, Visit&& visit) {
  const Directory directory(::opendir(path.c_str()));
  if (!directory) return;
  while (const dirent* entry = ::readdir(directory.get())) visit(std::string(entry->d_name));
}

bool MapsFileBelow(const std::string& process, const std::string& mountpoint) {
  std::ifstream maps(process + "/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t slash = line.find('/');
    if (slash != std::string::npos && IsBelow(line.substr(slash), mountpoint)) return true;
  }
  return false;
}

bool Uses(const std::string& process, const std::string& mountpoint) {
  for (const char* link : {"/cwd", "/root", "/exe"}) {
    if (IsBelow(LinkTarget(process + link), mountpoint)) return true;
  }
  bool found = false;
  ForEachName(process + "/fd", [&](const std::string& name) {
    found = found || IsBelow(LinkTarget(process + "/fd/" + name), mountpoint);
  });
  return found || MapsFileBelow(process, mountpoint);
}

}  // namespace

std::vector<std::string> FindMountUsers(const std::string& mountpoint, std::size_t limit) {
  std::vector<std::string> users;
  const std::string self = std::to_string(::getpid());  // May have inherited what is open.
  ForEachName("/proc", [&](const std::string& name) {
    const bool is_process = std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
    if (!is_process || name == self || users.size() >= limit) return;
    const std::string process = "/proc/" + name;
    if (!Uses(process, mountpoint)) return;
    std::string command;
    std::getline(std::ifstream(process + "/comm"), command);
    users.push_back(fmt::format("{} (pid {})", command, name));
  });
  return users;
}

}  // namespace modelfs::fs
