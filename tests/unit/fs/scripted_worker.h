#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/daemon/broker_protocol.h"
#include "fs/daemon/mounter.h"

namespace modelfs::test {

using namespace modelfs::fs;  // NOLINT(google-build-using-namespace): all of it is about fs.

/// Mounts nothing and writes down what it was asked for.
class FakeMounter final : public Mounter {
 public:
  struct Record {
    std::vector<std::string> acts;
    bool busy = false;
    std::optional<Error> refuse_mount;
  };
  explicit FakeMounter(Record& record) : record_(record) {}

  Result<Mounted> Mount(const MountSpec& spec) override {
    record_.acts.push_back("mount " + spec.mountpoint);
    if (record_.refuse_mount) return std::unexpected(*record_.refuse_mount);
    return Mounted{.device = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)), .minor = ++minor_};
  }
  Result<UnmountOutcome> Unmount(const std::string& mountpoint, unsigned,
                                 UnmountMode mode) override {
    const bool lazy = mode == UnmountMode::kLazy;
    if (record_.busy && !lazy) return UnmountOutcome::kBusy;
    record_.acts.push_back((lazy ? "detach " : "umount ") + mountpoint);
    return UnmountOutcome::kGone;
  }
  Result<void> SetReadAhead(unsigned) override { return {}; }
  Result<void> Abort(unsigned minor) override {
    record_.acts.push_back("abort " + std::to_string(minor));
    return {};
  }

 private:
  Record& record_;
  unsigned minor_ = 0;
};

/// What a worker of a test does; it is a process of its own and ends when the script returns.
using Script = std::function<void(const BrokerChannel&)>;

/// The next message, which must be of this type; pings between are answered.
template <class Message>
Message Expect(const BrokerChannel& channel) {
  for (;;) {
    auto message = channel.Receive();
    if (!message || !*message) ::_exit(99);
    if (auto* expected = std::get_if<Message>(&**message)) return std::move(*expected);
    const auto* ping = std::get_if<PingMessage>(&**message);
    if (ping == nullptr || !channel.Send(PongMessage{ping->number})) ::_exit(99);
  }
}

inline void Tell(const BrokerChannel& channel, const BrokerMessage& message) {
  if (!channel.Send(message)) ::_exit(98);
}

/// Start and first mount, as a good worker does them.
inline SessionId MountFirst(const BrokerChannel& channel) {
  Expect<StartMessage>(channel);
  const auto add = Expect<AddMountMessage>(channel);
  Tell(channel, MountRequestMessage{.request = 1, .mount = add.mount});
  const auto mounted = Expect<MountedMessage>(channel);
  Tell(channel, SaveInitMessage{.session = mounted.session, .init = {std::byte{1}}});
  Tell(channel, ReadyMessage{.request = add.request, .session = mounted.session});
  return mounted.session;
}

inline void EndInOrder(const BrokerChannel& channel) {
  Expect<ShutdownMessage>(channel);
  Tell(channel, ByeMessage{});
}

/// The mount answers, is gone, and the daemon ends.
inline void ServeAndEnd(const BrokerChannel& channel, std::uint64_t request, SessionId session) {
  Tell(channel, ReadyMessage{.request = request, .session = session});
  Tell(channel, SessionGoneMessage{session});
  EndInOrder(channel);
}

/// The start of a worker that is to go on with the only mount of another one.
inline ResumeMountMessage TakeOver(const BrokerChannel& channel) {
  Expect<StartMessage>(channel);
  Expect<NodesMessage>(channel);
  return Expect<ResumeMountMessage>(channel);
}

/// Makes the mount that nobody could go on with, and ends after it.
inline void MountAgainAndEnd(const BrokerChannel& channel) {
  const auto add = Expect<AddMountMessage>(channel);
  if (!add.again) ::_exit(97);
  Tell(channel, MountRequestMessage{.request = 1, .mount = add.mount});
  const auto mounted = Expect<MountedMessage>(channel);
  ServeAndEnd(channel, add.request, mounted.session);
}

}  // namespace modelfs::test
