#include "fs/daemon/holder_link.h"

#include <fmt/format.h>

#include <utility>

#include "fs/daemon/packet_socket.h"

namespace modelfs::fs {

Result<HolderLink::Met> HolderLink::Connect(const std::string& socket,
                                            const std::string& cache_directory) {
  auto connected = ConnectPackets(socket);
  if (!connected) return std::unexpected(connected.error());
  BrokerChannel channel(*std::move(connected));
  auto sent = channel.Send(HoldMessage{cache_directory});
  if (!sent) return std::unexpected(sent.error());
  auto kept = ReceiveKept(channel, [](BrokerMessage&) { return true; });
  if (!kept) {
    return Fail(kept.error().code,
                fmt::format("modelfs hold on {}: {}", socket, kept.error().what));
  }
  return Met{.link = HolderLink(std::move(channel)), .kept = *std::move(kept)};
}

Result<void> HolderLink::Keep(SessionId id, const KeptMount& mount) {
  return SendKept(channel_, id, mount, 0);
}

Result<void> HolderLink::Forget(SessionId id) { return channel_.Send(SessionGoneMessage{id}); }

}  // namespace modelfs::fs
