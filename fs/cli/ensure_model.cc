#include "fs/cli/ensure_model.h"

#include <dirent.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "fetch/base/handle.h"
#include "fs/cli/command.h"
#include "fs/copy/wanted_version.h"
#include "fs/tree/names.h"

namespace modelfs::fs {
namespace {

using Dir = Handle<DIR, ::closedir>;

Result<std::vector<std::string>> NamesIn(const std::string& directory) {
  const Dir dir(::opendir(directory.c_str()));
  if (!dir) return FailErrno(errno, "list " + directory);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && name != ".modelfs") names.push_back(name);
  }
  if (errno != 0) return FailErrno(errno, "list " + directory);
  std::ranges::sort(names, [](const std::string& a, const std::string& b) {
    return std::pair(a.size(), a) < std::pair(b.size(), b);  // Versions by number.
  });
  return names;
}

/// What `directory` holds, for messages.
std::string NamesAsText(const std::string& directory) {
  auto names = NamesIn(directory);
  if (!names) return fmt::format("and {}", names.error().what);
  return WhatThereIs(*std::move(names));
}

Result<std::string> ReadLinkAt(const std::string& path) {
  std::array<char, 256> target{};
  const ssize_t got = ::readlink(path.c_str(), target.data(), target.size());
  if (got < 0) return FailErrno(errno, "read the link " + path);
  return std::string(target.data(), static_cast<std::size_t>(got));
}

}  // namespace

Result<WantedModel> ReadWantedModel(const Environment& env) {
  std::vector<std::string> missing;
  const auto get = [&](const char* name) {
    auto value = env.Get(name);
    if (!value) missing.emplace_back(name);
    return value.value_or("");
  };
  WantedModel wanted{.local_path = get("LOCAL_MODEL_PATH"),
                     .name = get("MLFLOW_MODEL_NAME"),
                     .version = get("MLFLOW_MODEL_VERSION")};
  if (!env.Get("MLFLOW_TRACKING_URI")) missing.emplace_back("MLFLOW_TRACKING_URI");
  if (!missing.empty()) {
    return Fail(Errc::kInvalid, fmt::format("{} {} not set", fmt::join(missing, ", "),
                                            missing.size() == 1 ? "is" : "are"));
  }
  const bool number =
      std::ranges::all_of(wanted.version, [](char c) { return c >= '0' && c <= '9'; });
  if (!number && wanted.version != "latest" && !wanted.version.starts_with('@')) {
    return Fail(
        Errc::kInvalid,
        fmt::format("MLFLOW_MODEL_VERSION is '{}': write a version number, latest or @ALIAS",
                    wanted.version));
  }
  wanted.local_path = AbsolutePath(wanted.local_path);
  return wanted;
}

Result<std::string> FindModel(const std::string& mountpoint, const WantedModel& wanted) {
  const auto directory = EscapeName(wanted.name);
  if (!directory) {
    return Fail(Errc::kInvalid, fmt::format("model '{}': the name is too long", wanted.name));
  }
  const std::string model = fmt::format("{}/{}", mountpoint, *directory);
  struct stat info{};
  if (::stat(model.c_str(), &info) != 0) {
    if (errno != ENOENT) return FailErrno(errno, fmt::format("model '{}'", wanted.name));
    return Fail(Errc::kNotFound, fmt::format("model '{}' is not in the registry; {}", wanted.name,
                                             NamesAsText(mountpoint)));
  }
  std::string version = wanted.version;
  const auto missing = [&] {
    return Fail(Errc::kNotFound, fmt::format("model '{}' has no version '{}'; {}", wanted.name,
                                             wanted.version, NamesAsText(model)));
  };
  if (version == "latest" || version.starts_with('@')) {
    const auto link = EscapeName(version);
    auto target = link ? ReadLinkAt(fmt::format("{}/{}", model, *link))
                       : Result<std::string>(Fail(Errc::kNotFound, ""));
    if (!target && target.error().code == Errc::kNotFound) return missing();
    if (!target) return target;
    version = *std::move(target);
  }
  std::string path = fmt::format("{}/{}", model, version);
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return missing();
    return FailErrno(errno, fmt::format("model '{}' version '{}'", wanted.name, version));
  }
  auto files = NamesIn(path);
  if (!files) {
    return Fail(files.error().code, fmt::format("model '{}' version '{}' cannot be read: {}; the "
                                                "log of the daemon says why ('modelfs status')",
                                                wanted.name, version, files.error().what));
  }
  return path;
}

}  // namespace modelfs::fs
