#include "fs/control/control_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "fetch/base/base64.h"
#include "fs/control/unix_listener.h"
#include "fs/control/wire.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;

constexpr unsigned kMaxConnections = 128;
constexpr unsigned kIdleSeconds = 30;

/// One answer, before it becomes MHD's.
struct Answer {
  int status = 200;
  std::string body;
  const char* content_type = "application/json";
};

Answer Failure(const Error& error) { return {ToHttpStatus(error.code), ErrorBody(error)}; }
Answer Failure(int status, Errc code, std::string what) {
  return {status, ErrorBody({code, std::move(what)})};
}

/// What has arrived of a request so far.
struct Request {
  std::string body;
  bool too_large = false;
};

Result<std::vector<std::string>> ParsePaths(std::string_view body) {
  const json parsed = json::parse(body, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("paths") || !parsed["paths"].is_array()) {
    return Fail(Errc::kInvalid, "the body must be {\"paths\": [...]}");
  }
  std::vector<std::string> paths;
  for (const auto& path : parsed["paths"]) {
    if (!path.is_string() || !path.get_ref<const std::string&>().starts_with('/')) {
      return Fail(Errc::kInvalid, "every path must be an absolute path");
    }
    paths.push_back(path.get<std::string>());
  }
  return paths;
}

/// Turns a request into a call of the api.
class Router {
 public:
  explicit Router(DaemonApi& api) : api_(api) {}

  Answer Serve(std::string_view method, std::string_view path, std::string_view body) {
    static constexpr std::string_view kApi = "/api/v1/";
    static constexpr std::string_view kJobs = "/api/v1/jobs/";
    if (path == "/healthz")
      return OnlyGet(method, [] { return Answer{200, "ok\n", "text/plain"}; });
    if (path == "/api/v1/status") {
      return OnlyGet(method, [&] { return Answer{200, Dump(api_.Status())}; });
    }
    if (path.starts_with(kJobs)) {
      return OnlyGet(method, [&] { return Job(path.substr(kJobs.size())); });
    }
    if (path == "/api/v1/mounts") return OnlyPost(method, [&] { return AddMount(body); });
    if (path == "/api/v1/profiles") return OnlyPost(method, [&] { return ImportProfiles(body); });
    if (path == "/api/v1/upgrade") return OnlyPost(method, [&] { return Upgrade(body); });
    if (path.starts_with(kApi)) {
      const auto kind = std::ranges::find(kJobKinds, path.substr(kApi.size()),
                                          &std::pair<JobKind, std::string_view>::second);
      if (kind != kJobKinds.end()) {
        return OnlyPost(method, [&] { return StartJob(kind->first, body); });
      }
    }
    return Failure(404, Errc::kNotFound, fmt::format("no call '{}'", path));
  }

 private:
  template <class Body>
  static Answer Only(std::string_view wanted, std::string_view method, Body&& body) {
    if (method == wanted) return body();
    return Failure(405, Errc::kInvalid, fmt::format("this call is a {}", wanted));
  }
  template <class Body>
  static Answer OnlyGet(std::string_view method, Body&& body) {
    return Only("GET", method, std::forward<Body>(body));
  }
  template <class Body>
  static Answer OnlyPost(std::string_view method, Body&& body) {
    return Only("POST", method, std::forward<Body>(body));
  }

  Answer Job(std::string_view number) {
    static constexpr std::string_view kOutput = "/output";
    const bool output = number.ends_with(kOutput);
    if (output) number.remove_suffix(kOutput.size());
    std::uint64_t id = 0;
    const auto [rest, error] = std::from_chars(number.data(), number.data() + number.size(), id);
    if (error != std::errc{} || rest != number.data() + number.size()) {
      return Failure(Error{Errc::kInvalid, fmt::format("'{}' is no job number", number)});
    }
    if (output) {
      auto bytes = api_.JobOutput(id);
      return bytes ? Answer{200, Dump({{"output", Base64Encode(*bytes)}})} : Failure(bytes.error());
    }
    auto job = api_.Job(id);
    return job ? Answer{200, Dump(*job)} : Failure(job.error());
  }

  Answer AddMount(std::string_view body) {
    const json parsed = json::parse(body, nullptr, false);
    if (parsed.is_discarded()) return Failure(Error{Errc::kInvalid, "the body is no JSON"});
    auto spec = MountSpecFromJson(parsed);
    if (!spec) return Failure(spec.error());
    auto added = api_.AddMount(*spec);
    return added ? Answer{201, "{}"} : Failure(added.error());
  }

  Answer ImportProfiles(std::string_view body) {
    const json parsed = json::parse(body, nullptr, false);
    const auto file = parsed.is_object() && parsed.contains("file") && parsed["file"].is_string()
                          ? Base64Decode(parsed["file"].get_ref<const std::string&>())
                          : std::nullopt;
    if (!file) return Failure(Error{Errc::kInvalid, "the body must be {\"file\": \"<base64>\"}"});
    const auto kept = api_.ImportProfiles(*file);
    return kept ? Answer{200, Dump({{"profiles", *kept}})} : Failure(kept.error());
  }

  Answer Upgrade(std::string_view body) {
    const json parsed = json::parse(body, nullptr, false);
    const std::string program = parsed.is_object() ? parsed.value("program", json()).is_string()
                                                         ? parsed["program"].get<std::string>()
                                                         : ""
                                                   : "";
    if (!program.starts_with('/')) {
      return Failure(Error{Errc::kInvalid, "the body must be {\"program\": \"/absolute/path\"}"});
    }
    auto upgraded = api_.Upgrade(program);
    return upgraded ? Answer{200, "{}"} : Failure(upgraded.error());
  }

  Answer StartJob(JobKind kind, std::string_view body) {
    auto paths = ParsePaths(body);
    if (!paths) return Failure(paths.error());
    if (paths->empty() && kind != JobKind::kVerify) {
      return Failure(Error{Errc::kInvalid, fmt::format("no path to {}", ToString(kind))});
    }
    const auto job = api_.StartJob(kind, *paths);
    return job ? Answer{202, Dump({{"job", *job}})} : Failure(job.error());
  }

  DaemonApi& api_;
};

std::optional<uid_t> PeerUid(int socket) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return std::nullopt;
  return peer.uid;
}

class Server final : public ControlServer {
 public:
  Server(Options options, UnixListener listener)
      : options_(std::move(options)), router_(*options_.api), listener_(std::move(listener)) {}

  Result<void> Run() {
    // MHD closes the descriptor that it gets; the listener goes on owning the file.
    const int fd = ::fcntl(listener_.fd(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return FailErrno(errno, "duplicate the control socket");
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all,
                    &before);  // For the threads that it starts; see StartThread.
    daemon_.reset(MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                                       MHD_USE_POLL | MHD_USE_ITC,
                                   0, nullptr, nullptr, &Server::OnRequest, this,  //
                                   MHD_OPTION_LISTEN_SOCKET, fd,                   //
                                   MHD_OPTION_CONNECTION_LIMIT, kMaxConnections,   //
                                   MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds,    //
                                   MHD_OPTION_NOTIFY_COMPLETED, &Server::OnCompleted, nullptr,
                                   MHD_OPTION_END));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (daemon_ == nullptr) {  // Some of its failures close `fd` and some do not: leave it.
      return Fail(Errc::kIo, fmt::format("serve the control socket '{}'", options_.socket_path));
    }
    return {};
  }

 private:
  static MHD_Result OnRequest(void* self, MHD_Connection* connection, const char* url,
                              const char* method, const char* /*version*/, const char* data,
                              std::size_t* data_size, void** state) noexcept {
    return static_cast<Server*>(self)->Serve(connection, url, method, {data, *data_size}, data_size,
                                             state);
  }

  static void OnCompleted(void* /*self*/, MHD_Connection* /*connection*/, void** state,
                          MHD_RequestTerminationCode /*why*/) noexcept {
    delete static_cast<Request*>(std::exchange(*state, nullptr));
  }

  MHD_Result Serve(MHD_Connection* connection, std::string_view url, std::string_view method,
                   std::string_view data, std::size_t* data_size, void** state) {
    auto* request = static_cast<Request*>(*state);
    if (request == nullptr) {
      if (!MayAsk(connection)) {
        return Send(connection, Failure(403, Errc::kDenied, "this daemon belongs to another user"));
      }
      *state = new Request;  // OnCompleted deletes it.
      return MHD_YES;
    }
    if (!data.empty()) {
      // What is too much is read and dropped, so that the client sees the answer and no reset.
      request->too_large |= request->body.size() + data.size() > kMaxControlBody;
      if (!request->too_large) request->body.append(data);
      *data_size = 0;
      return MHD_YES;
    }
    if (request->too_large) {
      return Send(connection, Failure(413, Errc::kInvalid, "the body is over 4 MiB"));
    }
    return Send(connection, router_.Serve(method, url, request->body));
  }

  bool MayAsk(MHD_Connection* connection) const {
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == nullptr) return false;
    const auto peer =
        options_.peer_uid ? options_.peer_uid(info->connect_fd) : PeerUid(info->connect_fd);
    if (peer && MayControl(*peer, ::geteuid())) return true;
    spdlog::warn("control.peer_refused uid={}", peer ? fmt::to_string(*peer) : "unknown");
    return false;
  }

  static MHD_Result Send(MHD_Connection* connection, const Answer& answer) {
    // MUST_COPY only reads through the pointer.
    const Handle<MHD_Response, MHD_destroy_response> response(MHD_create_response_from_buffer(
        answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY));
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response.get(), MHD_HTTP_HEADER_CONTENT_TYPE, answer.content_type);
    return MHD_queue_response(connection, static_cast<unsigned>(answer.status), response.get());
  }

  Options options_;
  Router router_;
  UnixListener listener_;
  Handle<MHD_Daemon, MHD_stop_daemon> daemon_;  // Last: its threads use all of the above.
};

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::Start(Options options) {
  auto listener = UnixListener::Bind(options.socket_path);
  if (!listener) return std::unexpected(listener.error());
  auto server = std::make_unique<Server>(std::move(options), *std::move(listener));
  if (auto ok = server->Run(); !ok) return std::unexpected(ok.error());
  return server;
}

}  // namespace modelfs::fs
