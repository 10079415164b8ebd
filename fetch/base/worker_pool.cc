#include "fetch/base/worker_pool.h"

#include <fmt/format.h>

#include "fetch/base/thread.h"

namespace modelfs {

WorkerPool::WorkerPool(const std::string& name, int threads) {
  for (int i = 0; i < threads; ++i) {
    threads_.push_back(StartThread(fmt::format("{}-{}", name, i), [this] { Run(); }));
  }
}

WorkerPool::~WorkerPool() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  for (std::jthread& thread : threads_) thread.join();
}

void WorkerPool::Post(std::move_only_function<void()> task) {
  MutexLock lock(mutex_);
  queue_.push_back(std::move(task));
  wake_.NotifyOne();
}

void WorkerPool::Run() {
  MutexLock lock(mutex_);
  while (true) {
    while (queue_.empty()) {
      if (stopping_) return;
      wake_.Wait(mutex_);
    }
    std::move_only_function<void()> task = std::move(queue_.front());
    queue_.pop_front();
    lock.Unlock();
    task();
    task = nullptr;
    lock.Lock();
  }
}

}  // namespace modelfs
