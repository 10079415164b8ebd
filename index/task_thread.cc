#include "index/task_thread.h"

#include <utility>

#include "fetch/base/thread.h"

namespace modelfs::index {

TaskThread::TaskThread(const std::string& name) : thread_(StartThread(name, [this] { Run(); })) {}

TaskThread::~TaskThread() { Stop(); }

bool TaskThread::Post(Task task) {
  const MutexLock lock(mutex_);
  if (stopped_) return false;
  tasks_.push_back(std::move(task));
  wake_.NotifyOne();
  return true;
}

void TaskThread::Stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

void TaskThread::Run() {
  MutexLock lock(mutex_);
  for (;;) {
    while (tasks_.empty() && !stopping_) wake_.Wait(mutex_);
    if (tasks_.empty()) break;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.Unlock();
    task();
    task = nullptr;
    lock.Lock();
  }
  stopped_ = true;
}

}  // namespace modelfs::index
