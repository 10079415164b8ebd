#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "fetch/origin.h"
#include "index/flight.h"
#include "index/stream_window.h"

namespace modelfs::index {

class LocalObject;

/// The one request for an object that its origin gives only as a whole, from the first byte on.
///
///     0        present       wanted   at          loads that wait for it    size
///     | kept | passed over | kept   | arriving |   ...   |      ...       |
///
/// Goes through the object in order; what is present is passed over, the rest is kept and answers
/// its readers like any other flight. It goes round with a few buffers of its own: where the disk
/// is slower than the network, Append waits for one of them, and with it the connection.
///
/// Threads: Start once, from any; Append and the completion on the origin's thread.
class StreamFlight final : public fetch::BodySink,
                           public std::enable_shared_from_this<StreamFlight> {
 public:
  explicit StreamFlight(std::shared_ptr<LocalObject> object);
  ~StreamFlight() override;

  /// Waits for buffers. Requires: no lock held.
  void Start();

  void Append(std::span<const std::byte> bytes) override;

 private:
  void Launch(Reservation reservation);
  /// Makes `load_` the one for the chunk that begins at received_.
  void BeginChunk();
  void Finish(Result<void> result);

  const std::shared_ptr<LocalObject> object_;
  std::shared_ptr<StreamWindow> window_;
  // Of the origin's thread once the request is out.
  std::shared_ptr<ChunkLoad> load_;  ///< Null: this chunk is passed over.
  std::uint64_t received_ = 0;
};

}  // namespace modelfs::index
