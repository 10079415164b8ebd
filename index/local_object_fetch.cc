#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "index/local_object.h"
#include "index/shared/shared_object.h"

namespace modelfs::index {

void LocalObject::Want(ByteRange range, Priority priority) {
  range = range.Intersect({0, id_.size_bytes});
  if (range.empty()) return;
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    if (!loaded_.load(std::memory_order_acquire)) {
      queued_.emplace_back(
          [self = shared_from_this(), range, priority] { self->Want(range, priority); });
      return;
    }
    const std::uint64_t first = chunks_.IndexOf(range.begin);
    AddWish(priority, {.owner = 0, .next = first, .end = chunks_.IndexOf(range.end - 1) + 1});
  }
  core_->loader.Wake(shared_from_this(), priority);
}

void LocalObject::FetchAll(Priority priority, Done<void> done) {
  Actions actions;
  {
    const MutexLock lock(mutex_);
    if (!closed_ && !loaded_.load(std::memory_order_acquire)) {
      auto shared = std::make_shared<Done<void>>(std::move(done));
      queued_.emplace_back([self = shared_from_this(), priority, shared] {
        self->FetchAll(priority, std::move(*shared));
      });
      return;
    }
    whole_waiters_.push_back(std::move(done));
    if (closed_) {
      SettleWhole(Fail(Errc::kCancelled, "fetch: shutting down"), actions);
    } else if (changed_) {
      SettleWhole(std::unexpected(*changed_), actions);
    } else if (corrupt_) {
      SettleWhole(std::unexpected(*corrupt_), actions);
    } else {
      AddWish(priority, {.owner = 0, .next = 0, .end = chunks_.count()});
      if (chunks_.whole()) CheckSums(actions);
      SettleWhole({}, actions);
    }
    WakeLoader(priority, actions);
  }
  actions.Run();
}

void LocalObject::AddWish(Priority priority, Wish wish) {
  auto& wishes = wishes_[static_cast<std::size_t>(priority)];
  for (Wish& w : wishes) {
    if (wish.owner != 0 && w.owner == wish.owner) {
      w.end = std::max(w.end, wish.end);
      w.next = std::max(w.next, wish.next);
      return;
    }
    if (wish.owner != 0 || w.owner != 0 || w.ahead) continue;
    if (w.next <= wish.next && wish.end <= w.end) return;
  }
  wishes.push_back(std::move(wish));
}

/// All that is absent, when nothing more urgent is to be done.
void LocalObject::WishForAll(std::uint64_t owner, Actions& actions) {
  AddWish(Priority::kPlan, {.owner = owner, .next = 0, .end = chunks_.count()});
  WakeLoader(Priority::kPlan, actions);
}

void LocalObject::WakeLoader(Priority priority, Actions& actions) {
  actions.Add([self = shared_from_this(), priority] { self->core_->loader.Wake(self, priority); });
}

/// Finds the next absent chunks of a wish.
LocalObject::Outlook LocalObject::NextRun(Wish& wish, std::uint64_t most, std::uint64_t& first,
                                          std::uint64_t& end) {
  if (shared_ && !stream_only_) return NextSharedRun(wish, most, first, end);
  while (wish.next < wish.end && chunks_.State(wish.next) != ChunkState::kAbsent) ++wish.next;
  if (wish.next >= wish.end) return Outlook::kNothing;
  first = end = wish.next;
  while (end < wish.end && end - first < most && chunks_.State(end) == ChunkState::kAbsent) ++end;
  return Outlook::kSome;
}

/// The wish whose turn it is, with its next absent chunks; null when there is none that may be
/// followed now. A plan goes in its own order, wishes in turn.
LocalObject::Wish* LocalObject::NextWish(Priority priority, std::uint64_t most,
                                         std::uint64_t& first, std::uint64_t& end,
                                         Actions& actions) {
  for (std::size_t i = 0; priority == Priority::kPlan && i < plan_.size();) {
    switch (NextRun(plan_[i], most, first, end)) {
      case Outlook::kSome: return &plan_[i];
      case Outlook::kLater: ++i; break;
      case Outlook::kNothing: plan_.erase(plan_.begin() + static_cast<std::ptrdiff_t>(i)); break;
    }
  }
  auto& wishes = wishes_[static_cast<std::size_t>(priority)];
  for (std::size_t later = 0; later < wishes.size();) {
    const std::size_t at = (turn_ + later) % wishes.size();
    const std::shared_ptr<Ahead> ahead = wishes[at].ahead;
    const bool wanted = !ahead || ahead->wanted();
    const Outlook outlook = wanted ? NextRun(wishes[at], most, first, end) : Outlook::kNothing;
    if (outlook == Outlook::kSome) return &wishes[at];
    if (outlook == Outlook::kLater) {
      ++later;
      continue;
    }
    // What it holds may end with it: not under the lock.
    if (ahead) {
      actions.Add([self = shared_from_this(), ahead, wanted] {
        if (wanted) self->OnPlanThread([ahead] { ahead->asked(); });
      });
    }
    wishes.erase(wishes.begin() + static_cast<std::ptrdiff_t>(at));
    later = 0;
  }
  return nullptr;
}

Prefetcher::Outcome LocalObject::StartPrefetch(Priority priority, std::uint64_t& bytes) {
  const std::uint64_t share = std::max<std::size_t>(1, core_->buffers->limit() / 8);
  const std::uint64_t most = std::min(core_->link.RequestChunks(priority), share);
  std::shared_ptr<Flight> flight;
  Reservation reservation;
  bool no_buffers = false;
  Actions actions;
  {
    const MutexLock lock(mutex_);
    auto& wishes = wishes_[static_cast<std::size_t>(priority)];
    // Reading ahead would fetch what cannot be kept, and fetch it again for its reader.
    const bool useless = priority == Priority::kNear && StoreBroken();
    if (closed_ || changed_ || corrupt_ || useless) wishes.clear();
    if (closed_ || changed_ || corrupt_) plan_.clear();
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    Wish* const wish = NextWish(priority, most, first, end, actions);
    if (wish != nullptr && stream_only_) {
      wishes.clear();
      plan_.clear();
      EnsureStream(actions);
    } else if (wish != nullptr) {
      reservation = core_->buffers->TryReserve(end - first);
      no_buffers = reservation.count() == 0;
    }
    if (reservation.count() > 0) {
      end = first + reservation.count();
      if (wish->next == first) wish->next = end;
      ++turn_;
      for (std::uint64_t chunk = first; chunk < end; ++chunk) {
        auto load = std::make_shared<ChunkLoad>();
        load->chunk = chunk;
        load->size_bytes = chunks_.RangeOf(chunk).size();
        chunks_.Move(chunk, ChunkState::kFetching);
        loads_.emplace(chunk, std::move(load));
      }
      flight = MakeFlight(Flight::SentBy::kLoader, priority, first, end);
    }
  }
  actions.Run();
  if (shared_) shared_->Pump();
  if (!flight) return no_buffers ? Outcome::kNoBuffers : Outcome::kNothing;
  bytes = flight->bytes();
  flight->Start(std::move(reservation));
  return Outcome::kStarted;
}

/// `absent`: chunks that were just given loads, ascending. Adjacent ones share a request.
void LocalObject::AddDemand(const std::vector<std::uint64_t>& absent, Actions& actions) {
  const std::uint64_t half = std::max<std::size_t>(1, core_->buffers->limit() / 2);
  const std::uint64_t most =
      std::min<std::uint64_t>(half, std::max<std::uint64_t>(1, (16u << 20) / chunks_.chunk_size()));
  for (std::size_t i = 0; i < absent.size();) {
    std::size_t j = i + 1;
    while (j < absent.size() && absent[j] == absent[j - 1] + 1 && j - i < most) ++j;
    auto flight =
        MakeFlight(Flight::SentBy::kReader, Priority::kDemand, absent[i], absent[j - 1] + 1);
    actions.Add([flight] { flight->Start(Reservation()); });
    i = j;
  }
}

std::shared_ptr<Flight> LocalObject::MakeFlight(Flight::SentBy sent_by, Priority priority,
                                                std::uint64_t first, std::uint64_t end) {
  Loads loads;
  loads.reserve(end - first);
  for (std::uint64_t chunk = first; chunk < end; ++chunk) loads.push_back(loads_.at(chunk));
  const ByteRange range{chunks_.RangeOf(first).begin, chunks_.RangeOf(end - 1).end};
  return std::make_shared<Flight>(shared_from_this(), sent_by, priority, range, std::move(loads));
}

std::uint64_t LocalObject::WaitedForUntil(const Loads& loads) const {
  const MutexLock lock(mutex_);
  for (auto load = loads.rbegin(); load != loads.rend(); ++load) {
    if (*load && !(*load)->waiters.empty()) return chunks_.RangeOf((*load)->chunk).end;
  }
  return 0;
}

bool LocalObject::Supply(ChunkLoad& load, Reservation& reservation) {
  const MutexLock lock(mutex_);
  if (closed_) return false;
  load.buffer = reservation.Take();
  return true;
}

void LocalObject::Arrived(const std::shared_ptr<ChunkLoad>& load, std::uint64_t filled) {
  std::vector<ReadPiece> served;
  {
    const MutexLock lock(mutex_);
    load->filled = filled;
    auto& waiters = load->waiters;
    const auto waits = std::partition(waiters.begin(), waiters.end(),
                                      [&](const ReadPiece& p) { return p.end() > filled; });
    served.assign(std::make_move_iterator(waits), std::make_move_iterator(waiters.end()));
    waiters.erase(waits, waiters.end());
    for (const ReadPiece& piece : served) load->read_bytes += piece.dst.size();
  }
  for (const ReadPiece& piece : served) {
    piece.TakeFrom(load->buffer.data());
    piece.op->Finish();
  }
}

void LocalObject::Complete(std::shared_ptr<ChunkLoad> load, std::uint64_t hash) {
  const ChunkSums sums = ChunkSums::Of({load->buffer.data(), load->size_bytes},
                                       sum_kinds_.load(std::memory_order_relaxed));
  {
    const MutexLock lock(mutex_);
    // Shut down in between, and already absent?
    const auto it = loads_.find(load->chunk);
    if (it == loads_.end() || it->second != load) return;
    load->hash = hash;
    load->sums = sums;
  }
  Store(std::move(load));
}

/// Says in the log why the object cannot be fetched: once, until a fetch works or fails otherwise.
void LocalObject::NoteFetch(const Result<void>& result, Actions& actions) {
  if (result) {
    failure_said_.reset();
    return;
  }
  const Error& error = result.error();
  const bool expected = error.code == Errc::kCancelled || error.code == Errc::kUnranged;
  if (expected || failure_said_ == error.code) return;
  failure_said_ = error.code;
  actions.Add([error, object = id_.Describe()] {
    spdlog::warn("object.fetch_failed object={} code={} error=\"{}\"", object, ToString(error.code),
                 error.what);
  });
}

void LocalObject::Landed(const Loads& loads, const Result<void>& result) {
  Actions actions;
  {
    const MutexLock lock(mutex_);
    NoteFetch(result, actions);
    const bool turned = !result && result.error().code == Errc::kUnranged && !closed_;
    if (turned) {
      TurnToStream(loads, actions);
    } else if (!result) {
      // Wishes fail silently; a reader who comes along asks again.
      ForgetWishes();
      if (result.error().code == Errc::kChanged) changed_ = result.error();
    }
    for (const std::shared_ptr<ChunkLoad>& load : loads) {
      if (!load) continue;
      const auto it = loads_.find(load->chunk);
      if (it == loads_.end() || it->second != load || load->filled == load->size_bytes) continue;
      loads_.erase(it);
      chunks_.Move(load->chunk, ChunkState::kAbsent);
      for (ReadPiece& piece : load->waiters) {
        actions.Add([op = std::move(piece.op), error = result.error()] { op->Finish(error); });
      }
      load->waiters.clear();  // The buffer stays: somebody may be copying what had arrived.
    }
    // Turned to a stream, it goes on, or is over already, before the last of those who had asked
    // for ranges heard that there are none.
    if (!streaming_ || closed_) SettleWhole(turned ? Result<void>() : result, actions);
    loaded_condition_.NotifyAll();
  }
  actions.Run();
}

/// Answers those who wait for the whole object: it is whole, or `last` failed.
void LocalObject::SettleWhole(const Result<void>& last, Actions& actions) {
  if (whole_waiters_.empty()) return;
  if (last && !chunks_.whole() && !corrupt_) {
    // Nothing under way and nothing wished for: a chunk was lost meanwhile. Look again.
    const bool wished = std::any_of(wishes_.begin(), wishes_.end(),
                                    [](const auto& wishes) { return !wishes.empty(); });
    if (loads_.empty() && checks_.empty() && !wished && !streaming_ && !closed_) {
      WishForAll(0, actions);
    }
    return;
  }
  // Whole, but perhaps not what the origin has: wait for that.
  const bool pending = sums_state_ == SumsState::kAsking || sums_state_ == SumsState::kComparing;
  if (last && pending && !closed_) return;
  auto waiters = std::make_shared<std::vector<Done<void>>>();
  waiters->swap(whole_waiters_);
  actions.Add([waiters, last] {
    for (Done<void>& done : *waiters) done(last);
  });
}

/// As SettleWhole, when what the origin publishes cannot be had.
void LocalObject::SettleWholeUnchecked(Actions& actions) {
  if (chunks_.whole()) SettleWhole({}, actions);
}

}  // namespace modelfs::index
