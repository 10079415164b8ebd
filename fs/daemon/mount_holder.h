#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/daemon/broker_protocol.h"
#include "fs/daemon/kept_mount.h"

namespace modelfs::fs {

/// Keeps copies of the descriptors of other daemons' mounts, so that a mount outlives its whole
/// container: its readers wait until the next supervisor of the same cache directory comes and goes
/// on. The body of `modelfs hold`.
///
/// Mounts that nobody comes for are let go, and their readers get an error.
/// Threads: one. It holds specs, which may hold secrets: in memory only.
class MountHolder {
 public:
  struct Options {
    std::string socket;
    std::chrono::milliseconds patience{std::chrono::minutes(5)};  ///< For the next supervisor.
  };
  /// Errors: those of ListenForPackets.
  static Result<MountHolder> Listen(Options options);

  /// Serves until SIGTERM or SIGINT, which this process must not use otherwise. Returns the exit
  /// code.
  int Run();

 private:
  using Clock = std::chrono::steady_clock;
  /// All mounts of one cache directory.
  struct Kept {
    KeptMountReader mounts;
    std::optional<Clock::time_point> since;  ///< When its supervisor went; nullopt: it is here.
  };
  struct Line {
    BrokerChannel channel;
    std::string cache_directory;  ///< Empty until it has said hold.
    bool open = true;
  };

  MountHolder(Options options, Fd listener)
      : options_(std::move(options)), listener_(std::move(listener)) {}
  void Accept();
  void Read(Line& line);
  void Take(Line& line, BrokerMessage& message);
  void Introduce(Line& line, const std::string& cache_directory);
  void CloseLines();
  void LetGo(Clock::time_point now);
  int WaitMilliseconds(Clock::time_point now) const;

  Options options_;
  Fd listener_;
  std::vector<Line> lines_;
  std::map<std::string, Kept> kept_;  ///< By cache directory.
};

}  // namespace modelfs::fs
