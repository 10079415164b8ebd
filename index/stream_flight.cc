#include "index/stream_flight.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "index/core.h"
#include "index/local_object.h"

namespace modelfs::index {
namespace {

constexpr std::size_t kMostBuffers = 16;
/// A disk that takes no chunk for so long is broken: the stream goes on without keeping.
constexpr std::chrono::seconds kLongestWait{10};

}  // namespace

StreamFlight::StreamFlight(std::shared_ptr<LocalObject> object) : object_(std::move(object)) {}

StreamFlight::~StreamFlight() = default;

void StreamFlight::Start() {
  const std::size_t share = object_->core().buffers->limit() / 4;
  object_->core().buffers->Reserve(
      std::clamp<std::size_t>(share, 1, kMostBuffers),
      [self = shared_from_this()](Reservation granted) { self->Launch(std::move(granted)); });
}

void StreamFlight::Launch(Reservation reservation) {
  Core& core = object_->core();
  core.counters.fetches_in_flight.fetch_add(1, std::memory_order_relaxed);
  const std::shared_ptr<fetch::Origin> origin = object_->origin();
  if (reservation.count() == 0 || core.closing) {
    return Finish(Fail(Errc::kCancelled, "read: shutting down"));
  }
  if (!origin) return Finish(Fail(Errc::kInvalid, "read: the object was opened without an origin"));
  window_ = std::make_shared<StreamWindow>(std::move(reservation));
  core.counters.fetch_requests.fetch_add(1, std::memory_order_relaxed);
  origin->Read(
      object_->id(), {0, object_->id().size_bytes}, shared_from_this(),
      [self = shared_from_this()](Result<void> result) { self->Finish(std::move(result)); });
}

void StreamFlight::BeginChunk() {
  load_ = object_->StreamReached(object_->chunks().IndexOf(received_));
  if (!load_) return;
  Buffer buffer = window_->Take(kLongestWait);
  if (buffer && object_->SupplyStream(*load_, std::move(buffer), window_)) return;
  object_->StreamPassed(std::exchange(load_, nullptr));
}

void StreamFlight::Append(std::span<const std::byte> bytes) {
  Core& core = object_->core();
  core.counters.fetched_bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
  core.fetch_rate.Add(bytes.size());
  while (!bytes.empty() && received_ < object_->id().size_bytes) {
    const ByteRange chunk = object_->chunks().RangeOf(object_->chunks().IndexOf(received_));
    if (received_ == chunk.begin) BeginChunk();
    const std::size_t n = std::min<std::uint64_t>(bytes.size(), chunk.end - received_);
    if (load_) {
      std::memcpy(load_->buffer.data() + (received_ - chunk.begin), bytes.data(), n);
    }
    received_ += n;
    bytes = bytes.subspan(n);
    if (!load_) continue;
    object_->Arrived(load_, received_ - chunk.begin);
    if (received_ == chunk.end) {
      const std::uint64_t hash = XXH3_64bits(load_->buffer.data(), load_->size_bytes);
      object_->Complete(std::exchange(load_, nullptr), hash);
    }
  }
}

void StreamFlight::Finish(Result<void> result) {
  object_->core().counters.fetches_in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (result && received_ < object_->id().size_bytes) {
    result = Fail(Errc::kTransient,
                  fmt::format("GET {}: only {} of {} bytes came", object_->id().Describe(),
                              received_, object_->id().size_bytes));
  }
  load_.reset();
  object_->StreamLanded(result);
}

}  // namespace modelfs::index
