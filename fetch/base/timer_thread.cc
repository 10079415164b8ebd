#include "fetch/base/timer_thread.h"

#include "fetch/base/thread.h"

namespace modelfs {

struct TimerThread::Entry {
  struct Expediter {
    TimerThread* timer;
    std::uint64_t serial;
    void operator()() const { timer->Expedite(serial); }
  };
  std::move_only_function<void()> task;
  std::optional<std::stop_callback<Expediter>> on_stop;
};

TimerThread::TimerThread() : thread_(StartThread("tick", [this] { Run(); })) {}

TimerThread::~TimerThread() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyOne();
  }
  thread_.join();
}

void TimerThread::After(std::chrono::milliseconds delay, std::stop_token stop,
                        std::move_only_function<void()> task) {
  auto entry = std::make_shared<Entry>();
  entry->task = std::move(task);
  std::uint64_t serial;
  {
    MutexLock lock(mutex_);
    serial = next_serial_++;
    const Key key{Now() + delay, serial};
    due_.emplace(serial, key.first);
    const auto at = queue_.emplace(key, entry).first;
    if (at == queue_.begin()) changed_.NotifyOne();
  }
  // May run Expedite at once. The entry may have fired already; its last owner drops the callback.
  if (stop.stop_possible()) entry->on_stop.emplace(std::move(stop), Entry::Expediter{this, serial});
}

void TimerThread::Expedite(std::uint64_t serial) {
  MutexLock lock(mutex_);
  const auto found = due_.find(serial);
  if (found == due_.end()) return;
  auto node = queue_.extract(Key{found->second, serial});
  found->second = Clock::time_point::min();
  node.key().first = found->second;
  queue_.insert(std::move(node));
  changed_.NotifyOne();
}

void TimerThread::Run() {
  MutexLock lock(mutex_);
  while (!stopping_ || !queue_.empty()) {
    if (queue_.empty()) {
      changed_.Wait(mutex_);
      continue;
    }
    const auto first = queue_.begin();
    if (!stopping_ && first->first.first > Now()) {
      const Clock::time_point due = first->first.first;
      changed_.WaitUntil(mutex_, due);
      continue;
    }
    std::shared_ptr<Entry> entry = std::move(first->second);
    due_.erase(first->first.second);
    queue_.erase(first);
    lock.Unlock();
    entry->task();
    entry->task = nullptr;  // What it holds dies here, not on whichever thread owns the entry last.
    entry.reset();
    lock.Lock();
  }
}

}  // namespace modelfs
