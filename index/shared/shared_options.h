#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace modelfs::index::shared {

class SharedFiles;

struct SharedOptions {
  std::filesystem::path directory;          ///< Mounted by all replicas; made if missing.
  std::uint64_t segment_bytes = 64u << 20;  ///< Of a new directory.
  std::uint64_t limit = 0;                  ///< Most that it may hold, bytes; 0: no limit.
  bool limit_is_percent = false;  ///< `limit` is of its filesystem, which is asked when it answers.
  std::chrono::milliseconds unused{std::chrono::hours(1)};  ///< Only what nobody used for so long
                                                            ///< makes room.
  std::chrono::milliseconds start_jitter{250};  ///< The first claim waits for up to so long.
  std::shared_ptr<SharedFiles> files;           ///< Instead of those of `directory`, for tests.
};

}  // namespace modelfs::index::shared
