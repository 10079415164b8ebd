#include "fs/daemon/worker_process.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "fs/daemon/child_process.h"

namespace modelfs::fs {

Result<WorkerProcess> SpawnWorker() {
  constexpr int kBrokerFd = 3;
  auto pair = BrokerChannel::MakePair();
  if (!pair) return std::unexpected(pair.error());
  const pid_t child = ::fork();
  if (child < 0) return FailErrno(errno, "fork the worker");
  if (child == 0) {
    ResetSignals();
    // All of ours are close-on-exec; this is for what whoever started us left open.
    const int end = ::fcntl(pair->worker.fd(), F_DUPFD_CLOEXEC, kBrokerFd + 1);
    ::dup2(end, kBrokerFd);
    ::close_range(kBrokerFd + 1, ~0u, 0);
    ::execl("/proc/self/exe", "modelfs", "worker", "--broker-fd", "3", nullptr);
    ::_exit(127);
  }
  return WorkerProcess{.pid = child, .channel = std::move(pair->supervisor)};
}

}  // namespace modelfs::fs
