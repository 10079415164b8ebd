#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "index/shared/heartbeat.h"
#include "index/shared/shared_files.h"

namespace modelfs::index::shared {

/// Makes room in a shared directory, and removes what the dead have left.
///
/// Objects go whole, the one first that was not used for longest, and none that anybody used within
/// `unused`. Any number of replicas may sweep at once: what one has removed is a miss to the
/// others. Threads: one at a time; waits for the server.
class SharedSweeper {
 public:
  struct Options {
    std::uint64_t limit = 0;                                      ///< Bytes; 0: none.
    bool limit_is_percent = false;                                ///< It is of the filesystem.
    std::uint64_t free_bytes = 0;                                 ///< To be left free on it.
    std::chrono::milliseconds unused{std::chrono::hours(1)};      ///< Younger use keeps an object.
    std::chrono::milliseconds interval{std::chrono::minutes(5)};  ///< One sweep, by whomever.
    /// Age of claims whose segment was published; clients have forgotten by then that it was not.
    std::chrono::milliseconds settled{std::chrono::minutes(2)};
    std::chrono::milliseconds left_over{std::chrono::hours(2)};  ///< Age of what was not published.
    std::chrono::milliseconds quarantine{std::chrono::hours(24)};  ///< Wrong segments are kept.
  };
  struct Swept {
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
    std::uint64_t kept_bytes = 0;  ///< What the directory holds now, about.
  };

  SharedSweeper(std::shared_ptr<SharedFiles> files, Heartbeat& heartbeat, Options options,
                const std::atomic<bool>& stop)
      : files_(std::move(files)), heartbeat_(heartbeat), options_(options), stop_(stop) {}

  /// Nothing where somebody did it less than `interval` ago. Errors: as FromErrno.
  Result<Swept> Sweep();

 private:
  struct Object {
    std::string path;
    std::uint64_t bytes = 0;
    std::chrono::milliseconds idle{0};
  };

  Result<bool> MayBegin();
  std::vector<Object> Objects();
  Object Measure(std::string path);
  std::chrono::milliseconds IdleOf(const std::string& path);
  std::chrono::milliseconds AgeOf(const std::string& path);
  std::uint64_t Excess(std::uint64_t held);
  bool Remove(const Object& object);
  void RemoveClaims(const std::string& path, const std::vector<std::string>& segments);
  void RemoveIn(const std::string& folder);
  void RemoveLeftOvers();

  const std::shared_ptr<SharedFiles> files_;
  Heartbeat& heartbeat_;
  const Options options_;
  const std::atomic<bool>& stop_;
};

}  // namespace modelfs::index::shared
