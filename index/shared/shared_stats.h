#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace modelfs::index::shared {

/// What the shared tier has done in this life.
struct SharedStats {
  std::string directory;           ///< "" where there is none.
  std::string filesystem;          ///< "nfs", "ceph", …
  std::string mode;                ///< "read-write", "read-only", "off".
  bool usable = false;             ///< It answers, and is not slower than the origin.
  std::string reason;              ///< Why it is not.
  std::uint64_t read_bytes = 0;    ///< Taken from it.
  std::uint64_t origin_bytes = 0;  ///< Fetched from origins beside it.
  std::uint64_t published_segments = 0;
  std::uint64_t published_bytes = 0;
  std::uint64_t claims = 0;       ///< Segments that we undertook to fetch for all.
  std::uint64_t takeovers = 0;    ///< Of those, from somebody who did not live any more.
  std::uint64_t hedges = 0;       ///< Reads that did not wait longer for somebody else.
  std::uint64_t brownouts = 0;    ///< How often it was found to hang.
  std::uint64_t quarantined = 0;  ///< Segments that were not what was published.
  std::uint64_t evicted_objects = 0;
  std::uint64_t errors = 0;  ///< Calls that failed; all were taken for misses.
};

/// Threads: any.
struct SharedCounters {
  std::atomic<std::uint64_t> read_bytes{0};
  std::atomic<std::uint64_t> origin_bytes{0};
  std::atomic<std::uint64_t> published_segments{0};
  std::atomic<std::uint64_t> published_bytes{0};
  std::atomic<std::uint64_t> claims{0};
  std::atomic<std::uint64_t> takeovers{0};
  std::atomic<std::uint64_t> hedges{0};
  std::atomic<std::uint64_t> brownouts{0};
  std::atomic<std::uint64_t> quarantined{0};
  std::atomic<std::uint64_t> evicted_objects{0};
  std::atomic<std::uint64_t> errors{0};
};

}  // namespace modelfs::index::shared
