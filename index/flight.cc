#include "index/flight.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "index/core.h"
#include "index/local_object.h"

namespace modelfs::index {

/// Where the bytes of one request of a flight arrive.
class Flight::Request final : public fetch::BodySink {
 public:
  Request(std::shared_ptr<Flight> flight, ByteRange range)
      : flight_(std::move(flight)), range_(range) {}

  void Append(std::span<const std::byte> bytes) override { flight_->Append(*this, bytes); }
  std::stop_token Stop() const override { return stop_.get_token(); }
  bool IsUrgent() const override { return flight_->priority_ <= Priority::kNear; }

  void Abandon() { stop_.request_stop(); }

 private:
  friend class Flight;
  const std::shared_ptr<Flight> flight_;
  const ByteRange range_;
  std::stop_source stop_;
  bool open_ = true;  // Under the flight's mutex.
  // Of the thread that it calls back on.
  Clock::time_point sent_;
  Clock::time_point first_byte_;
  std::uint64_t received_ = 0;
};

Flight::Flight(std::shared_ptr<LocalObject> object, SentBy sent_by, Priority priority,
               ByteRange range, std::vector<std::shared_ptr<ChunkLoad>> loads)
    : object_(std::move(object)),
      sent_by_(sent_by),
      priority_(priority),
      range_(range),
      loads_(std::move(loads)) {}

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
  if (priority_ == Priority::kDemand) core.link.DemandBegan();
  if (reservation.count() < loads_.size() || core.closing) {
    return Finish(nullptr, Fail(Errc::kCancelled, "read: shutting down"));
  }
  if (!object_->origin()) {
    return Finish(nullptr, Fail(Errc::kInvalid, "read: the object was opened without an origin"));
  }
  if (auto fault = core.faults->Hit("flight.send"); fault) {
    return Finish(nullptr, std::unexpected(*std::move(fault)));
  }
  reservation_ = std::move(reservation);
  auto request = std::make_shared<Request>(shared_from_this(), range_);
  {
    const MutexLock lock(mutex_);
    first_ = request;
    owner_ = request.get();
  }
  // Where replicas share, one that waits for another is not late; it has a limit of its own.
  auto watched =
      object_->IsShared() ? nullptr : core.hedger->Sent(object_->id().source, weak_from_this());
  {
    const MutexLock lock(mutex_);
    watched_ = std::move(watched);
  }
  Send(request);
}

void Flight::Send(const std::shared_ptr<Request>& request) {
  object_->core().counters.fetch_requests.fetch_add(1, std::memory_order_relaxed);
  request->sent_ = Clock::now();
  const std::shared_ptr<fetch::Origin> origin = object_->origin();
  if (!origin) return Ended(*request, Fail(Errc::kCancelled, "read: shutting down"));
  object_->ReadFromTiers(origin, request->range_, request, [request](Result<void> result) {
    request->flight_->Ended(*request, std::move(result));
  });
}

Flight::Claim Flight::Claims(Request& request) {
  std::shared_ptr<Request> loser;
  bool second_won = false;
  {
    const MutexLock lock(mutex_);
    if (done_) return Claim::kDrop;
    if (owner_ == nullptr) {
      owner_ = &request;
      second_won = owner_ == second_.get();
      loser = second_won ? first_ : second_;
    }
    if (owner_ != &request) return Claim::kDrop;
    taking_ = true;
  }
  if (second_won) object_->core().hedger->Won(watched_.get());
  if (loser) loser->Abandon();
  return Claim::kTake;
}

void Flight::Append(Request& request, std::span<const std::byte> bytes) {
  Core& core = object_->core();
  if (request.received_ == 0) {
    request.first_byte_ = Clock::now();
    core.faults->Hit("flight.first_bytes");
  }
  request.received_ += bytes.size();
  core.counters.fetched_bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
  core.fetch_rate.Add(bytes.size());
  core.link.Arrived(bytes.size());
  if (Claims(request) == Claim::kDrop) return core.hedger->Wasted(bytes.size());
  core.hedger->Heard(watched_.get(), bytes.size());
  Take(bytes);
  const MutexLock lock(mutex_);
  taking_ = false;
}

void Flight::Take(std::span<const std::byte> bytes) {
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
      object_->core().faults->Hit("flight.hashed");
      // Let go of it: its buffer is free as soon as it is on disk.
      object_->Complete(std::exchange(loads_[current_++], nullptr), hash);
      current_bytes_ = 0;
    }
  }
}

std::uint64_t Flight::Hedge(std::uint64_t most_bytes) {
  std::vector<std::shared_ptr<ChunkLoad>> missing;
  std::uint64_t from = 0;
  {
    const MutexLock lock(mutex_);
    if (done_ || second_ || taking_ || !watched_) return 0;
    missing.assign(loads_.begin() + static_cast<std::ptrdiff_t>(current_), loads_.end());
    from = range_.begin + received_;
  }
  const std::uint64_t end = object_->WaitedForUntil(missing);
  if (end <= from || end - from > most_bytes) return 0;
  auto request = std::make_shared<Request>(shared_from_this(), ByteRange{from, end});
  if (object_->core().faults->Hit("flight.hedge")) return 0;
  {
    const MutexLock lock(mutex_);
    if (done_ || taking_ || range_.begin + received_ != from || !first_->open_) return 0;
    second_ = request;
    owner_ = nullptr;
  }
  spdlog::debug("flight.hedged object={} offset={} bytes={}", object_->id().Describe(), from,
                end - from);
  Send(request);
  return end - from;
}

void Flight::DropHedge() {
  std::shared_ptr<Request> request;
  {
    const MutexLock lock(mutex_);
    if (done_ || owner_ != nullptr || !first_->open_) return;
    owner_ = first_.get();
    request = second_;
  }
  request->Abandon();
}

void Flight::Ended(Request& request, Result<void> result) {
  std::shared_ptr<Request> rest;
  {
    const MutexLock lock(mutex_);
    request.open_ = false;
    if (done_) return;
    if (owner_ == nullptr) {
      // Neither has brought anything yet. Only what the first one is told counts for good.
      const bool first = &request == first_.get();
      Request* const other = first ? second_.get() : first_.get();
      const bool final = first && !result && result.error().code != Errc::kTransient;
      if (other->open_ && !final) {
        owner_ = other;
        return;
      }
      owner_ = &request;
    }
    if (owner_ != &request) return;
    if (result && &request == second_.get() && received_ < range_.size() &&
        range_.begin + received_ == request.range_.end) {
      rest = second_ =
          std::make_shared<Request>(shared_from_this(), ByteRange{request.range_.end, range_.end});
      owner_ = rest.get();
    } else {
      done_ = true;
    }
  }
  if (rest) return Send(rest);
  Finish(&request, std::move(result));
}

/// `request`: the one that brought the rest; null: none was sent.
void Flight::Finish(Request* request, Result<void> result) {
  Core& core = object_->core();
  core.counters.fetches_in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (result && received_ < range_.size()) {
    result = Fail(Errc::kTransient,
                  fmt::format("GET {} [{},+{}): only {} bytes came", object_->id().Describe(),
                              range_.begin, range_.size(), received_));
  }
  if (priority_ == Priority::kDemand) core.link.DemandEnded();
  if (result && request != nullptr) {
    core.link.Finished(request->first_byte_ - request->sent_, Clock::now() - request->first_byte_,
                       request->received_);
  }
  core.hedger->Over(watched_);
  reservation_ = Reservation();
  object_->Landed(std::exchange(loads_, {}), result);
  if (sent_by_ == SentBy::kLoader) core.loader.Finished(range_.size());
  std::shared_ptr<Request> first;
  std::shared_ptr<Request> second;
  {
    // They hold the flight, and it them. One that was late may still be under way.
    const MutexLock lock(mutex_);
    done_ = true;
    first = std::move(first_);
    second = std::move(second_);
  }
  for (const auto& late : {first, second}) {
    if (late) late->Abandon();
  }
}

}  // namespace modelfs::index
