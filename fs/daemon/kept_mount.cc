#include "fs/daemon/kept_mount.h"

#include <fcntl.h>
#include <poll.h>

#include <utility>
#include <variant>

namespace modelfs::fs {

Fd Duplicate(int fd) { return fd < 0 ? Fd() : Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

bool IsGone(const KeptMount& mount) {
  pollfd look{.fd = mount.device.get(), .events = 0, .revents = 0};
  return ::poll(&look, 1, 0) > 0 && (look.revents & POLLERR) != 0;
}

bool MayResume(const KeptMount& mount) {
  return !mount.detached && !mount.init.empty() && mount.nodes;
}

Result<void> SendKept(const BrokerChannel& channel, SessionId id, const KeptMount& mount,
                      std::uint64_t request) {
  auto sent = channel.Send(NodesMessage{.session = id, .log = Duplicate(mount.nodes.get())});
  if (sent && mount.requests) {
    sent = channel.Send(RequestsMessage{.session = id, .record = Duplicate(mount.requests.get())});
  }
  if (!sent) return sent;
  return channel.Send(ResumeMountMessage{.request = request,
                                         .session = id,
                                         .mount = mount.spec,
                                         .init = mount.init,
                                         .device = Duplicate(mount.device.get()),
                                         .minor = mount.minor});
}

bool KeptMountReader::Take(BrokerMessage& message) {
  if (auto* nodes = std::get_if<NodesMessage>(&message)) {
    nodes_[nodes->session] = std::move(nodes->log);
    return true;
  }
  if (auto* requests = std::get_if<RequestsMessage>(&message)) {
    requests_[requests->session] = std::move(requests->record);
    return true;
  }
  auto* kept = std::get_if<ResumeMountMessage>(&message);
  if (kept == nullptr) return false;
  KeptMount mount{.spec = std::move(kept->mount),
                  .minor = kept->minor,
                  .init = std::move(kept->init),
                  .device = std::move(kept->device),
                  .nodes = std::move(nodes_[kept->session]),
                  .requests = std::move(requests_[kept->session])};
  nodes_.erase(kept->session);
  requests_.erase(kept->session);
  mounts_.insert_or_assign(kept->session, std::move(mount));
  return true;
}

}  // namespace modelfs::fs
