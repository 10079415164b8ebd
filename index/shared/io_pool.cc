#include "index/shared/io_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <stop_token>

#include "fetch/base/thread.h"

namespace modelfs::index::shared {
namespace {

constexpr std::chrono::milliseconds kSweep{100};
/// A sweep that is so late tells that the process was stopped, or had no processor.
constexpr std::chrono::milliseconds kLate{300};

}  // namespace

IoPool::IoPool(Options options) : options_(std::move(options)) {
  {
    const MutexLock lock(state_->mutex);
    state_->alive = options_.threads;
  }
  for (int i = 0; i < options_.threads; ++i) {
    threads_.push_back(
        StartThread(fmt::format("shared-{}", i), [state = state_] { Serve(state); }));
  }
}

IoPool::~IoPool() { Stop(std::chrono::milliseconds(0)); }

void IoPool::Enqueue(std::shared_ptr<Ticket> ticket) {
  bool arm = false;
  {
    const MutexLock lock(state_->mutex);
    const bool refused = state_->stopping || state_->queue.size() >= options_.queue;
    // Refused ones are answered by the sweep: the caller may hold a lock.
    ticket->due = Clock::now() + (refused ? std::chrono::milliseconds(0) : 2 * ticket->deadline);
    if (!refused) {
      state_->queue.push_back(ticket);
      state_->wake.NotifyOne();
    }
    state_->open.push_back(std::move(ticket));
    arm = !std::exchange(state_->sweeping, true);
    if (arm) state_->swept = Clock::now();
  }
  if (arm) ArmSweep(state_, options_);
}

void IoPool::Serve(const std::shared_ptr<State>& state) {
  MutexLock lock(state->mutex);
  for (;;) {
    while (state->queue.empty() && !state->stopping) state->wake.Wait(state->mutex);
    if (state->queue.empty()) break;
    std::shared_ptr<Ticket> ticket = std::move(state->queue.front());
    state->queue.pop_front();
    ticket->due = Clock::now() + ticket->deadline;
    ticket->running = true;
    lock.Unlock();
    ticket->Work();
    lock.Lock();
    std::erase(state->open, ticket);
    lock.Unlock();
    ticket.reset();  // May hold the last reference of somebody.
    lock.Lock();
  }
  --state->alive;
  state->wake.NotifyAll();
}

void IoPool::ArmSweep(const std::shared_ptr<State>& state, const Options& options) {
  options.timer->After(kSweep, std::stop_token(), [state, options] { Sweep(state, options); });
}

void IoPool::Sweep(const std::shared_ptr<State>& state, const Options& options) {
  std::vector<std::shared_ptr<Ticket>> late;
  std::string hung;
  bool stopping = false;
  bool again = false;
  {
    const MutexLock lock(state->mutex);
    const Clock::time_point now = Clock::now();
    const auto lost = now - std::exchange(state->swept, now) - kSweep;
    for (auto it = state->open.begin(); it != state->open.end();) {
      Ticket& ticket = **it;
      if (lost > kLate && ticket.due > now - lost - kSweep) ticket.due += lost;
      if (now < ticket.due) {
        ++it;
        continue;
      }
      if (ticket.running && hung.empty()) hung = ticket.what;
      late.push_back(std::move(*it));
      it = state->open.erase(it);
    }
    std::erase_if(state->queue, [&](const auto& queued) {
      return std::ranges::find(late, queued) != late.end();
    });
    stopping = state->stopping;
    again = !state->open.empty();
    state->sweeping = again;
  }
  if (!hung.empty() && options.breach) options.breach(hung);
  for (const auto& ticket : late) {
    if (stopping) {
      ticket->Fail({Errc::kCancelled, ticket->what + ": shutting down"});
    } else {
      ticket->Fail({Errc::kTimeout,
                    fmt::format("{}: no answer in {} ms", ticket->what, ticket->deadline.count())});
    }
  }
  if (again) ArmSweep(state, options);
}

void IoPool::Flush() {
  std::deque<std::shared_ptr<Ticket>> dropped;
  {
    const MutexLock lock(state_->mutex);
    dropped.swap(state_->queue);
    for (const auto& ticket : dropped) std::erase(state_->open, ticket);
  }
  for (const auto& ticket : dropped) {
    ticket->Fail({Errc::kTimeout, ticket->what + ": the shared directory does not answer"});
  }
}

void IoPool::Stop(std::chrono::milliseconds patience) {
  std::list<std::shared_ptr<Ticket>> dropped;
  bool hang = false;
  {
    const MutexLock lock(state_->mutex);
    state_->stopping = true;
    state_->wake.NotifyAll();
    const Clock::time_point limit = Clock::now() + patience;
    while (state_->alive > 0) {
      if (!state_->wake.WaitUntil(state_->mutex, limit) && Clock::now() >= limit) break;
    }
    hang = state_->alive > 0;
    state_->queue.clear();
    dropped.swap(state_->open);
  }
  for (const auto& ticket : dropped) {
    ticket->Fail({Errc::kCancelled, ticket->what + ": shutting down"});
  }
  for (std::jthread& thread : threads_) {
    if (hang && thread.joinable()) thread.detach();
  }
  threads_.clear();
}

}  // namespace modelfs::index::shared
