#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/origin.h"
#include "index/buffer_pool.h"
#include "index/cache.h"
#include "index/hedger.h"
#include "index/origin_sums.h"
#include "index/read_op.h"
#include "index/space.h"
#include "index/stream_window.h"
#include "index/unread_chunks.h"

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
  std::uint64_t filled = 0;      ///< The watermark: bytes that have arrived.
  std::uint64_t hash = 0;        ///< Once full.
  ChunkSums sums;                ///< Once full; those that may be compared with the origin's.
  Buffer buffer;                 ///< None before the first byte.
  bool was_read = false;         ///< Somebody has had bytes of it, or waits for them.
  std::uint64_t read_bytes = 0;  ///< How many went to readers.
  bool streamed = false;         ///< Comes, or is to come, by a StreamFlight.
  SpaceReservation room;         ///< On disk; from Store until it is accounted for.
  UnreadChunks::Place place;     ///< Where it is kept once it is on disk, if anywhere.
  std::shared_ptr<StreamWindow> window;  ///< Whose buffer it is; null: the pool's.
  std::vector<ReadPiece> waiters;
};

/// One request to the origin for adjacent chunks, and the way of its bytes into chunk buffers.
///
///     first                                                  end
///     | chunk: full, being written | chunk: arriving | chunk |
///                                     watermark ^
///
/// When it is silent for too long the Hedger has it sent once more, from the watermark on, as far
/// as somebody waits. Whichever of the two brings the next byte goes on alone; the other is ended,
/// and what it still brings is dropped. If the second one has won, the rest is asked for when it is
/// through.
///
/// Keeps its object, and so the core, alive until the origin has called back.
/// Threads: Start once, from any; Append and the completion on the origin's thread, of two requests
/// on two; Hedge and DropHedge on the timer's. Lock order: `mutex_` is a leaf.
class Flight final : public Hedgeable, public std::enable_shared_from_this<Flight> {
 public:
  enum class SentBy : std::uint8_t {
    kReader,  ///< For a read that waits.
    kLoader,  ///< For a wish, of any priority: the Loader hears when it is over.
  };

  Flight(std::shared_ptr<LocalObject> object, SentBy sent_by, Priority priority, ByteRange range,
         std::vector<std::shared_ptr<ChunkLoad>> loads);
  ~Flight() override;

  /// Waits for buffers (of a reader), or goes off with `reservation`. Requires: no lock held.
  void Start(Reservation reservation);
  std::uint64_t bytes() const { return range_.size(); }

  // Hedgeable
  std::uint64_t Hedge(std::uint64_t most_bytes) override EXCLUDES(mutex_);
  void DropHedge() override EXCLUDES(mutex_);

 private:
  class Request;
  using Clock = std::chrono::steady_clock;
  /// What becomes of the bytes of a request.
  enum class Claim : std::uint8_t {
    kTake,  ///< They are the next ones; no other is let in until Done.
    kDrop,  ///< Another request brings them.
  };

  void Launch(Reservation reservation);
  void Send(const std::shared_ptr<Request>& request);
  void Append(Request& request, std::span<const std::byte> bytes) EXCLUDES(mutex_);
  Claim Claims(Request& request) EXCLUDES(mutex_);
  void Take(std::span<const std::byte> bytes);
  void Ended(Request& request, Result<void> result) EXCLUDES(mutex_);
  void Finish(Request* request, Result<void> result) EXCLUDES(mutex_);

  const std::shared_ptr<LocalObject> object_;
  const SentBy sent_by_;
  const Priority priority_;
  const ByteRange range_;
  /// Set under mutex_, before the request is out.
  std::shared_ptr<Hedger::Watched> watched_;

  Mutex mutex_;
  std::shared_ptr<Request> first_ GUARDED_BY(mutex_);
  std::shared_ptr<Request> second_ GUARDED_BY(mutex_);  ///< Null: not sent once more.
  Request* owner_ GUARDED_BY(mutex_) = nullptr;         ///< Brings the bytes; null: not decided.
  bool taking_ GUARDED_BY(mutex_) = false;              ///< The owner is in Take.
  bool done_ GUARDED_BY(mutex_) = false;

  // What follows belongs to whoever is in Take, and to the holder of mutex_ while nobody is.
  std::vector<std::shared_ptr<ChunkLoad>> loads_;  ///< Null once handed on.
  Reservation reservation_;
  std::size_t current_ = 0;  ///< Index in loads_ of the chunk that is arriving.
  std::uint64_t current_bytes_ = 0;
  std::uint64_t received_ = 0;
};

}  // namespace modelfs::index
