#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fetch/origin.h"
#include "index/buffer_pool.h"
#include "index/origin_sums.h"
#include "index/read_op.h"
#include "index/space.h"
#include "index/stream_window.h"

namespace modelfs::index {

class LocalObject;

/// One chunk between "wanted" and "on disk". Guarded by the mutex of its object, except that bytes
/// below `filled` never change again and may be copied without it.
struct ChunkLoad {
  ChunkLoad() = default;
  ChunkLoad(const ChunkLoad&) = delete;
  ChunkLoad& operator=(const ChunkLoad&) = delete;
  ~ChunkLoad() {
    if (window && buffer) window->GiveBack(std::move(buffer));
  }

  std::uint64_t chunk = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t filled = 0;  ///< The watermark: bytes that have arrived.
  std::uint64_t hash = 0;    ///< Once full.
  ChunkSums sums;            ///< Once full; those that may be compared with the origin's.
  Buffer buffer;             ///< None before the first byte.
  bool was_read = false;     ///< Somebody has had bytes of it, or waits for them.
  bool streamed = false;     ///< Comes, or is to come, by a StreamFlight.
  SpaceReservation room;     ///< On disk; from Store until it is accounted for.
  std::shared_ptr<StreamWindow> window;  ///< Whose buffer it is; null: the pool's.
  std::vector<ReadPiece> waiters;
};

/// One request to the origin for adjacent chunks, and the way of its bytes into chunk buffers.
///
///     first                                                  end
///     | chunk: full, being written | chunk: arriving | chunk |
///                                     watermark ^
///
/// Keeps its object, and so the core, alive until the origin has called back.
/// Threads: Start once, from any; Append and the completion on the origin's thread.
class Flight final : public fetch::BodySink, public std::enable_shared_from_this<Flight> {
 public:
  enum class Purpose : std::uint8_t { kDemand, kPrefetch };

  Flight(std::shared_ptr<LocalObject> object, Purpose purpose, ByteRange range,
         std::vector<std::shared_ptr<ChunkLoad>> loads);
  ~Flight() override;

  /// Waits for buffers (demand), or goes off with `reservation`. Requires: no lock held.
  void Start(Reservation reservation);

  void Append(std::span<const std::byte> bytes) override;
  std::uint64_t bytes() const { return range_.size(); }

 private:
  using Clock = std::chrono::steady_clock;

  void Launch(Reservation reservation);
  void Finish(Result<void> result);

  const std::shared_ptr<LocalObject> object_;
  const Purpose purpose_;
  const ByteRange range_;
  // What follows belongs to the origin's thread once the request is out.
  std::vector<std::shared_ptr<ChunkLoad>> loads_;  ///< Null once handed on.
  Reservation reservation_;
  std::size_t current_ = 0;  ///< Index in loads_ of the chunk that is arriving.
  std::uint64_t current_bytes_ = 0;
  std::uint64_t received_ = 0;
  Clock::time_point sent_;
  Clock::time_point first_byte_;
};

}  // namespace modelfs::index
