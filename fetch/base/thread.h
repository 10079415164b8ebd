#pragma once

#include <pthread.h>
#include <signal.h>

#include <string>
#include <thread>
#include <utility>

namespace modelfs {

/// Starts a thread named `name` (at most 15 bytes, as the kernel has it) that runs `body` with all
/// signals blocked: those meant for the process go to the thread that waits for them, and a write
/// to a closed connection fails with EPIPE instead of ending the process.
template <class Body>
std::jthread StartThread(const std::string& name, Body body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // Inherited, so there is no moment without it.
  std::jthread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread.native_handle(), name.substr(0, 15).c_str());
  return thread;
}

}  // namespace modelfs
