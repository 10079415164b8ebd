#include "index/flight.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "index/core.h"
#include "index/local_object.h"

namespace modelfs::index {

Flight::Flight(std::shared_ptr<LocalObject> object, Purpose purpose, ByteRange range,
               std::vector<std::shared_ptr<ChunkLoad>> loads)
    : object_(std::move(object)), purpose_(purpose), range_(range), loads_(std::move(loads)) {}

Flight::~Flight() = default;

void Flight::Start(Reservation reservation) {
  if (reservation.count() > 0) return Launch(std::move(reservation));
  object_->core().buffers->Reserve(loads_.size(), [self = shared_from_this()](Reservation granted) {
    self->Launch(std::move(granted));
  });
}

void Flight::Launch(Reservation reservation) {
  Core& core = object_->core();
  core.counters.fetches_in_flight.fetch_add(1, std::memory_order_relaxed);
  if (purpose_ == Purpose::kDemand) core.link.DemandBegan();
  const std::shared_ptr<fetch::Origin> origin = object_->origin();
  if (reservation.count() < loads_.size() || core.closing) {
    return Finish(Fail(Errc::kCancelled, "read: shutting down"));
  }
  if (!origin) return Finish(Fail(Errc::kInvalid, "read: the object was opened without an origin"));
  if (auto fault = core.faults->Hit("flight.send"); fault) {
    return Finish(std::unexpected(*std::move(fault)));
  }
  reservation_ = std::move(reservation);
  core.counters.fetch_requests.fetch_add(1, std::memory_order_relaxed);
  sent_ = Clock::now();
  origin->Read(
      object_->id(), range_, shared_from_this(),
      [self = shared_from_this()](Result<void> result) { self->Finish(std::move(result)); });
}

void Flight::Append(std::span<const std::byte> bytes) {
  Core& core = object_->core();
  if (received_ == 0) {
    first_byte_ = Clock::now();
    core.faults->Hit("flight.first_bytes");
  }
  core.counters.fetched_bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
  core.fetch_rate.Add(bytes.size());
  core.link.Arrived(bytes.size());
  while (!bytes.empty() && current_ < loads_.size()) {
    const std::shared_ptr<ChunkLoad>& load = loads_[current_];
    if (current_bytes_ == 0 && !object_->Supply(*load, reservation_)) return;  // Shut down.
    const std::size_t n = std::min<std::uint64_t>(bytes.size(), load->size_bytes - current_bytes_);
    std::memcpy(load->buffer.data() + current_bytes_, bytes.data(), n);
    current_bytes_ += n;
    received_ += n;
    bytes = bytes.subspan(n);
    object_->Arrived(load, current_bytes_);
    if (current_bytes_ == load->size_bytes) {
      const std::uint64_t hash = XXH3_64bits(load->buffer.data(), load->size_bytes);
      core.faults->Hit("flight.hashed");
      // Let go of it: its buffer is free as soon as it is on disk.
      object_->Complete(std::exchange(loads_[current_++], nullptr), hash);
      current_bytes_ = 0;
    }
  }
}

void Flight::Finish(Result<void> result) {
  Core& core = object_->core();
  core.counters.fetches_in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (result && received_ < range_.size()) {
    result = Fail(Errc::kTransient,
                  fmt::format("GET {} [{},+{}): only {} bytes came", object_->id().Describe(),
                              range_.begin, range_.size(), received_));
  }
  if (purpose_ == Purpose::kDemand) core.link.DemandEnded();
  if (result) core.link.Finished(first_byte_ - sent_, Clock::now() - first_byte_, received_);
  reservation_ = Reservation();
  object_->Landed(loads_, result);
  if (purpose_ == Purpose::kPrefetch) core.loader.Finished(range_.size());
}

}  // namespace modelfs::index
