#include "fs/daemon/broker_protocol.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "fetch/base/hex.h"
#include "fetch/base/sha256.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, std::variant_size_v<BrokerMessage>> kTypeNames{
    "start",  "add_mount", "mount_request",   "mounted",      "save_init",
    "ready",  "failed",    "unmount_request", "session_gone", "shutdown",
    "bye",    "nodes",     "resume_mount",    "ping",         "pong",
    "spec",   "requests",  "upgrade",         "retire",       "hold",
    "adopted"};

constexpr std::array kErrorCodes{Errc::kNotFound, Errc::kDenied,   Errc::kInvalid, Errc::kTransient,
                                 Errc::kTimeout,  Errc::kChanged,  Errc::kCorrupt, Errc::kNoSpace,
                                 Errc::kIo,       Errc::kCancelled};

// One function per message writes its fields; the header is written by the caller.
void Write(json& out, const StartMessage& m) { out["daemon"] = ToJson(m.daemon); }
void Write(json& out, const AddMountMessage& m) {
  out["request"] = m.request;
  out["mount"] = ToJson(m.mount);
  out["again"] = m.again;
}
void Write(json& out, const MountRequestMessage& m) {
  out["request"] = m.request;
  out["mount"] = ToJson(m.mount);
}
void Write(json& out, const MountedMessage& m) {
  out["request"] = m.request;
  out["session"] = m.session;
  out["minor"] = m.minor;
}
void Write(json& out, const SaveInitMessage& m) {
  out["session"] = m.session;
  out["init"] = Hex(m.init);
}
void Write(json& out, const ReadyMessage& m) {
  out["request"] = m.request;
  out["session"] = m.session;
}
void Write(json& out, const FailedMessage& m) {
  out["request"] = m.request;
  out["code"] = ToString(m.error.code);
  out["what"] = m.error.what;
}
void Write(json& out, const UnmountRequestMessage& m) { out["session"] = m.session; }
void Write(json& out, const SessionGoneMessage& m) { out["session"] = m.session; }
void Write(json& out, const NodesMessage& m) { out["session"] = m.session; }
void Write(json& out, const SpecMessage& m) {
  out["session"] = m.session;
  out["mount"] = ToJson(m.mount);
}
void Write(json& out, const ResumeMountMessage& m) {
  out["request"] = m.request;
  out["session"] = m.session;
  out["mount"] = ToJson(m.mount);
  out["init"] = Hex(m.init);
  out["minor"] = m.minor;
}
void Write(json& out, const RequestsMessage& m) { out["session"] = m.session; }
void Write(json& out, const UpgradeMessage& m) { out["request"] = m.request; }
void Write(json&, const RetireMessage&) {}
void Write(json& out, const AdoptedMessage& m) { out["pid"] = m.pid; }
void Write(json& out, const HoldMessage& m) { out["cache_directory"] = m.cache_directory; }
void Write(json& out, const PingMessage& m) { out["number"] = m.number; }
void Write(json& out, const PongMessage& m) { out["number"] = m.number; }
void Write(json&, const ShutdownMessage&) {}
void Write(json&, const ByeMessage&) {}

/// Reads the fields of one message; the first that is wrong makes the message invalid.
class Reader {
 public:
  Reader(const json& object, Fd descriptor) : object_(object), descriptor_(std::move(descriptor)) {}

  std::uint64_t Number(const char* name) {
    const json* value = Find(name);
    if (value != nullptr && value->is_number_unsigned()) return value->get<std::uint64_t>();
    Complain(name);
    return 0;
  }
  bool Flag(const char* name) {
    const json* value = Find(name);
    if (value != nullptr && value->is_boolean()) return value->get<bool>();
    Complain(name);
    return false;
  }
  std::string Text(const char* name) {
    const json* value = Find(name);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    Complain(name);
    return "";
  }
  template <class Spec>
  Spec Object(const char* name, Result<Spec> (*parse)(const json&)) {
    const json* value = Find(name);
    if (value == nullptr) {
      Complain(name);
      return {};
    }
    auto spec = parse(*value);
    if (spec) return *std::move(spec);
    Complain(spec.error().what);
    return {};
  }
  std::vector<std::byte> Bytes(const char* name) {
    auto bytes = FromHex(Text(name));
    if (bytes) return *std::move(bytes);
    Complain(name);
    return {};
  }
  Errc Code(const char* name) {
    const std::string text = Text(name);
    for (const Errc code : kErrorCodes) {
      if (ToString(code) == text) return code;
    }
    return Errc::kIo;  // A newer version's code: the text still tells.
  }
  Fd Descriptor() {
    if (!descriptor_) Complain("descriptor");
    return std::move(descriptor_);
  }
  const std::string& wrong() const { return wrong_; }

 private:
  const json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  void Complain(std::string_view what) {
    if (wrong_.empty()) wrong_ = what;
  }

  const json& object_;
  Fd descriptor_;
  std::string wrong_;
};

std::optional<BrokerMessage> ReadFields(std::string_view type, Reader& in) {
  if (type == "start") {
    auto daemon = in.Object("daemon", &DaemonSpecFromJson);
    return StartMessage{.daemon = std::move(daemon), .lock = in.Descriptor()};
  }
  if (type == "add_mount") {
    return AddMountMessage{.request = in.Number("request"),
                           .mount = in.Object("mount", &MountSpecFromJson),
                           .again = in.Flag("again")};
  }
  if (type == "mount_request") {
    return MountRequestMessage{.request = in.Number("request"),
                               .mount = in.Object("mount", &MountSpecFromJson)};
  }
  if (type == "mounted") {
    return MountedMessage{.request = in.Number("request"),
                          .session = in.Number("session"),
                          .device = in.Descriptor(),
                          .minor = static_cast<unsigned>(in.Number("minor"))};
  }
  if (type == "save_init") {
    return SaveInitMessage{.session = in.Number("session"), .init = in.Bytes("init")};
  }
  if (type == "ready") {
    return ReadyMessage{.request = in.Number("request"), .session = in.Number("session")};
  }
  if (type == "failed") {
    return FailedMessage{.request = in.Number("request"),
                         .error = {.code = in.Code("code"), .what = in.Text("what")}};
  }
  if (type == "unmount_request") return UnmountRequestMessage{in.Number("session")};
  if (type == "session_gone") return SessionGoneMessage{in.Number("session")};
  if (type == "nodes") {
    return NodesMessage{.session = in.Number("session"), .log = in.Descriptor()};
  }
  if (type == "spec") {
    return SpecMessage{.session = in.Number("session"),
                       .mount = in.Object("mount", &MountSpecFromJson)};
  }
  if (type == "resume_mount") {
    return ResumeMountMessage{.request = in.Number("request"),
                              .session = in.Number("session"),
                              .mount = in.Object("mount", &MountSpecFromJson),
                              .init = in.Bytes("init"),
                              .device = in.Descriptor(),
                              .minor = static_cast<unsigned>(in.Number("minor"))};
  }
  if (type == "requests") {
    return RequestsMessage{.session = in.Number("session"), .record = in.Descriptor()};
  }
  if (type == "upgrade") {
    return UpgradeMessage{.request = in.Number("request"), .program = in.Descriptor()};
  }
  if (type == "retire") return RetireMessage{};
  if (type == "adopted") return AdoptedMessage{in.Number("pid")};
  if (type == "hold") return HoldMessage{in.Text("cache_directory")};
  if (type == "ping") return PingMessage{in.Number("number")};
  if (type == "pong") return PongMessage{in.Number("number")};
  if (type == "shutdown") return ShutdownMessage{};
  if (type == "bye") return ByeMessage{};
  return std::nullopt;
}

}  // namespace

std::string_view BrokerTypeName(const BrokerMessage& message) {
  return kTypeNames[message.index()];
}

std::string EncodeBrokerMessage(const BrokerMessage& message) {
  json out = {{"v", kBrokerVersion}, {"type", BrokerTypeName(message)}};
  std::visit([&](const auto& m) { Write(out, m); }, message);
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<BrokerMessage> DecodeBrokerMessage(std::string_view text, Fd descriptor) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return Fail(Errc::kInvalid, "broker message: no JSON object");
  const auto version = object.find("v");
  if (version == object.end() || *version != kBrokerVersion) {
    return Fail(Errc::kInvalid, fmt::format("broker message: not of version {}", kBrokerVersion));
  }
  Reader reader(object, std::move(descriptor));
  const std::string type = reader.Text("type");
  auto message = ReadFields(type, reader);
  if (!message) return Fail(Errc::kInvalid, fmt::format("broker message: unknown type '{}'", type));
  if (!reader.wrong().empty()) {
    return Fail(Errc::kInvalid,
                fmt::format("broker message {}: {} is missing or wrong", type, reader.wrong()));
  }
  return *std::move(message);
}

}  // namespace modelfs::fs
