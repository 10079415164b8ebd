#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// One file found by Walk.
struct WalkedFile {
  std::uint64_t id = 0;
  std::string path;  ///< Relative to the mount.
  std::uint64_t size_bytes = 0;
};

/// Collects every file at or below `path` (relative to the mount, "" or "." for all), listing what
/// was not listed yet, one directory at a time. Never waits; `done` runs inside the call when all
/// answers are at hand, else on an origin's thread.
/// Errors: kNotFound naming the path, or what an origin said.
void Walk(std::shared_ptr<Tree> tree, const std::string& path, Done<std::vector<WalkedFile>> done);

}  // namespace modelfs::fs
