#include "fs/http/http_server.h"

#include <fmt/format.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "fetch/base/handle.h"
#include "fs/control/wire.h"
#include "fs/http/bearer_token.h"
#include "fs/http/listen_address.h"

namespace modelfs::fs {
namespace {

constexpr unsigned kThreads = 2;
constexpr unsigned kMaxConnections = 256;
constexpr unsigned kIdleSeconds = 15;
constexpr std::size_t kConnectionMemory = 32u << 10;  // Request line and headers.

HttpAnswer Failure(int status, Errc code, std::string what) {
  return {.status = status, .body = ErrorBody({code, std::move(what)})};
}

/// What has arrived of a request so far.
struct Arriving {
  std::string body;
  bool too_large = false;
};

class Server final : public HttpServer {
 public:
  Server(Options options, TcpListener listener)
      : options_(std::move(options)), listener_(std::move(listener)) {}

  Result<void> Run() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // For its threads; see StartThread.
    daemon_.reset(MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, nullptr, nullptr,  //
                                   &Server::OnRequest, this,                            //
                                   MHD_OPTION_LISTEN_SOCKET, listener_.socket.get(),    //
                                   MHD_OPTION_THREAD_POOL_SIZE, kThreads,               //
                                   MHD_OPTION_CONNECTION_LIMIT, kMaxConnections,        //
                                   MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds,         //
                                   MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory,
                                   MHD_OPTION_NOTIFY_COMPLETED, &Server::OnCompleted, nullptr,
                                   MHD_OPTION_END));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (daemon_ == nullptr) {
      return Fail(Errc::kIo, fmt::format("serve http at '{}'", listener_.address));
    }
    listener_.socket.Release();  // Closed by MHD from here on.
    return {};
  }

  const std::string& address() const override { return listener_.address; }

 private:
  static MHD_Result OnRequest(void* self, MHD_Connection* connection, const char* url,
                              const char* method, const char* /*version*/, const char* data,
                              std::size_t* data_size, void** state) noexcept {
    return static_cast<Server*>(self)->Serve(connection, url, method, {data, *data_size}, data_size,
                                             state);
  }

  static void OnCompleted(void* /*self*/, MHD_Connection* /*connection*/, void** state,
                          MHD_RequestTerminationCode /*why*/) noexcept {
    delete static_cast<Arriving*>(std::exchange(*state, nullptr));
  }

  MHD_Result Serve(MHD_Connection* connection, std::string_view url, std::string_view method,
                   std::string_view data, std::size_t* data_size, void** state) {
    auto* arriving = static_cast<Arriving*>(*state);
    if (arriving == nullptr) {
      *state = new Arriving;  // OnCompleted deletes it.
      return MHD_YES;
    }
    if (!data.empty()) {
      // What is too much is read and dropped, so that the client sees the answer and no reset.
      arriving->too_large |= arriving->body.size() + data.size() > options_.max_body_bytes;
      if (!arriving->too_large) arriving->body.append(data);
      *data_size = 0;
      return MHD_YES;
    }
    if (arriving->too_large) {
      return Send(connection, Failure(413, Errc::kInvalid, "the body is too large"));
    }
    const HttpRequest request{
        .method = method == "HEAD" ? "GET" : method,
        .path = url,
        .body = arriving->body,
        .header = [connection](const char* name) -> std::optional<std::string> {
          const char* const value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
          if (value == nullptr) return std::nullopt;
          return std::string(value);
        }};
    return Send(connection, Route(request));
  }

  HttpAnswer Route(const HttpRequest& request) const {
    bool known_path = false;
    for (const HttpRoute& route : options_.routes) {
      if (route.path != request.path) continue;
      known_path = true;
      if (route.method != request.method) continue;
      if (route.access == HttpAccess::kToken) {
        if (auto refusal = Refuse(request)) return *std::move(refusal);
      }
      return route.serve(request);
    }
    if (known_path) return Failure(405, Errc::kInvalid, "not by this method");
    return Failure(404, Errc::kNotFound, "nothing here");
  }

  std::optional<HttpAnswer> Refuse(const HttpRequest& request) const {
    if (listener_.loopback) return std::nullopt;
    if (options_.token_file.empty()) {
      return Failure(403, Errc::kDenied,
                     "off loopback this needs a token, and no http_token_file is configured");
    }
    const auto token = ReadToken(options_.token_file);
    if (!token) {
      spdlog::warn("admin.token_unreadable error=\"{}\"", token.error().what);
      return Failure(503, Errc::kDenied, "the token file cannot be read; the log says why");
    }
    if (CarriesToken(request.header(MHD_HTTP_HEADER_AUTHORIZATION), *token)) return std::nullopt;
    HttpAnswer answer = Failure(401, Errc::kDenied, "needs 'Authorization: Bearer TOKEN'");
    answer.headers.emplace_back(MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"modelfs\"");
    return answer;
  }

  static MHD_Result Send(MHD_Connection* connection, const HttpAnswer& answer) {
    // MUST_COPY only reads through the pointer.
    const Handle<MHD_Response, MHD_destroy_response> response(MHD_create_response_from_buffer(
        answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY));
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response.get(), MHD_HTTP_HEADER_CONTENT_TYPE,
                            answer.content_type.c_str());
    MHD_add_response_header(response.get(), MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response.get(), "X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : answer.headers) {
      MHD_add_response_header(response.get(), name.c_str(), value.c_str());
    }
    return MHD_queue_response(connection, static_cast<unsigned>(answer.status), response.get());
  }

  const Options options_;
  TcpListener listener_;
  Handle<MHD_Daemon, MHD_stop_daemon> daemon_;  // Last: its threads use all of the above.
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(Options options) {
  auto listener = ListenAt(options.address);
  if (!listener) return std::unexpected(listener.error());
  if (!listener->loopback && !options.token_file.empty()) {
    if (auto token = ReadToken(options.token_file); !token) return std::unexpected(token.error());
  }
  if (!listener->loopback && options.token_file.empty()) {
    spdlog::warn(
        "admin.no_token address={}: only health and webhooks are served; set "
        "http_token_file for the rest",
        listener->address);
  }
  spdlog::info("admin.listening address={} loopback={}", listener->address, listener->loopback);
  auto server = std::make_unique<Server>(std::move(options), *std::move(listener));
  if (auto ok = server->Run(); !ok) return std::unexpected(ok.error());
  return server;
}

}  // namespace modelfs::fs
