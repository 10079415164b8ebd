#include "tests/support/origin/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "fetch/base/size.h"
#include "tests/support/origin/body.h"

namespace modelfs::test {
namespace {

constexpr std::size_t kBlock = 256 * kKiB;
constexpr std::size_t kMaxControlBody = 256u << 20;
using Response = Handle<MHD_Response, MHD_destroy_response>;
using DigestContext = Handle<EVP_MD_CTX, EVP_MD_CTX_free>;

int SocketOf(MHD_Connection* connection) {
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

/// Has the client closed its end?
bool IsGone(int socket) {
  pollfd poll_fd{.fd = socket, .events = POLLRDHUP, .revents = 0};
  return ::poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/// Bytes that left this end of the connection so far.
std::uint64_t BytesSent(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_bytes_sent;
}

MHD_Result CollectHeader(void* cls, MHD_ValueKind, const char* name, const char* value) {
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  std::string_view text = value == nullptr ? "" : value;
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  static_cast<Headers*>(cls)->emplace_back(std::move(lower), text);
  return MHD_YES;
}

ssize_t ReadBody(void* cls, std::uint64_t position, char* out, std::size_t size) noexcept {
  const ssize_t n = static_cast<BodyStream*>(cls)->Read(position, out, size);
  if (n == BodyStream::kEnd) return MHD_CONTENT_READER_END_OF_STREAM;
  return n == BodyStream::kBroken ? MHD_CONTENT_READER_END_WITH_ERROR : n;
}

void FreeBody(void* cls) noexcept { delete static_cast<BodyStream*>(cls); }

LogEntry::Op OpOf(std::string_view method, const std::pair<std::string, std::string>& name) {
  if (method == "GET") return name.second.empty() ? LogEntry::Op::kList : LogEntry::Op::kGet;
  if (method == "HEAD") return LogEntry::Op::kHead;
  return method == "PUT" ? LogEntry::Op::kPut : LogEntry::Op::kOther;
}

}  // namespace

struct OriginServer::Connection {
  explicit Connection(std::uint64_t number) : id(number) {}
  const std::uint64_t id;
  Pace pace;
};

/// One request, from its first line to the last byte of its answer. On its connection's thread.
class OriginServer::Exchange {
 public:
  Exchange(OriginServer* server, const char* uri) : server_(server) {
    request_.target = RequestTarget::Parse(uri);
  }
  ~Exchange() {
    if (!request_.upload_path.empty()) ::unlink(request_.upload_path.c_str());
  }

  /// libmicrohttpd calls this once with the headers, then with parts of the body, then at its end.
  MHD_Result Step(MHD_Connection* connection, const char* method, const char* data,
                  std::size_t* data_size) {
    if (!begun_) {
      begun_ = true;
      return Begin(connection, method);
    }
    if (*data_size == 0) return Answer(connection);
    const bool taken = Take({data, *data_size});
    *data_size = 0;
    return taken ? MHD_YES : MHD_NO;
  }

  void Complete(MHD_Connection* connection, bool whole) {
    if (!record_) return;
    if (!whole && promised_ > 0) {
      const std::uint64_t sent = BytesSent(SocketOf(connection)) - sent_before_;
      const std::uint64_t body = sent - std::min(sent, head_bytes_);
      const std::uint64_t lacking = promised_ - std::min(promised_, body);
      server_->log_.AddBytes(*record_, -static_cast<std::int64_t>(lacking));
    }
    server_->log_.End(*record_);
  }

 private:
  bool control() const { return ControlService::Owns(request_.target.raw_path); }

  Connection& State(MHD_Connection* connection) const {
    return *static_cast<Connection*>(
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
  }

  MHD_Result Begin(MHD_Connection* connection, const char* method) {
    request_.method = method;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, CollectHeader, &request_.headers);
    if (!control()) {
      const auto name = server_->s3_.Locate(request_);
      LogEntry entry;
      entry.connection = State(connection).id;
      entry.op = OpOf(request_.method, name);
      entry.method = request_.method;
      entry.path = request_.target.raw_path;
      entry.query = request_.target.raw_query;
      entry.name = name.first + '/' + name.second;
      const bool list = entry.op == LogEntry::Op::kList;
      const std::string matched =
          list ? entry.name + request_.target.Find("prefix").value_or("") : entry.name;
      record_ = server_->log_.Begin(std::move(entry));
      faults_ = server_->faults_.Next(list ? "LIST" : request_.method, matched);
      if (request_.method == "PUT" && !name.second.empty() && !OpenUpload()) return MHD_NO;
    }
    // An answer at this point would close the connection behind it; we are called again at once.
    return MHD_YES;
  }

  bool OpenUpload() {
    auto upload = server_->store_.BeginUpload();
    if (!upload) return false;
    upload_ = std::move(upload->file);
    request_.upload_path = upload->path.string();
    digest_.reset(EVP_MD_CTX_new());
    return EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr) == 1;
  }

  bool Take(std::string_view data) {
    if (!upload_) {
      control_body_.append(data);
      return control_body_.size() <= kMaxControlBody;
    }
    EVP_DigestUpdate(digest_.get(), data.data(), data.size());
    while (!data.empty()) {
      const ssize_t n = ::write(upload_.get(), data.data(), data.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  void EndUpload() {
    if (!upload_) return;
    upload_.Reset();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(digest_.get(), digest, &size);
    for (const unsigned char c : std::span(digest, size)) {
      request_.upload_sha256 += fmt::format("{:02x}", c);
    }
  }

  MHD_Result Answer(MHD_Connection* connection) {
    if (control()) {
      const std::string what =
          request_.target.raw_path.substr(std::string_view("/_origin/").size());
      S3Reply reply = server_->control_.Handle(request_.method, what, control_body_);
      Response response(MHD_create_response_from_buffer(reply.text.size(), reply.text.data(),
                                                        MHD_RESPMEM_MUST_COPY));
      return Queue(connection, reply, response.get());
    }
    EndUpload();
    S3Reply reply = server_->s3_.Handle(request_);
    const BodyPlan plan = ApplyFaults(faults_, request_.target.raw_path, reply);
    reply.SetHeader("x-amz-request-id", fmt::format("{:016X}", server_->log_.IdOf(*record_)));
    if (!WaitForFirstByte(SocketOf(connection))) return MHD_NO;
    return Send(connection, std::move(reply), plan);
  }

  bool WaitForFirstByte(int socket) {
    const Link::Gone gone = [socket] { return IsGone(socket); };
    std::chrono::microseconds delay = server_->link_.options().latency;
    for (const Fault& fault : faults_) {
      if (fault.kind == Fault::Kind::kDelay) delay += fault.delay;
    }
    return delay.count() == 0 || server_->link_.Delay(delay, gone);
  }

  std::string FaultNames() const {
    std::string names;
    for (const Fault& fault : faults_) {
      if (!names.empty()) names += ',';
      names += ToString(fault.kind);
    }
    return names;
  }

  MHD_Result Send(MHD_Connection* connection, S3Reply reply, const BodyPlan& plan) {
    const int socket = SocketOf(connection);
    const bool head = request_.method == "HEAD";
    server_->log_.Answer(*record_, reply.status,
                         reply.object && !head ? std::optional(reply.range) : std::nullopt,
                         FaultNames());
    const std::uint64_t source = reply.object ? reply.range.size() : reply.text.size();
    const bool plain =
        !plan.faulty() && plan.length <= source && !server_->link_.options().shaped();
    Response response;
    if (plain && !head && plan.length > 0 && reply.object && reply.object->file &&
        server_->options_.certificate_pem.empty()) {
      sent_before_ = BytesSent(socket);
      promised_ = plan.length;
      server_->log_.AddBytes(*record_, static_cast<std::int64_t>(promised_));
      const int fd = ::fcntl(reply.object->file->get(), F_DUPFD_CLOEXEC, 0);
      if (fd < 0) return MHD_NO;
      response.reset(MHD_create_response_from_fd_at_offset64(plan.length, fd, reply.range.begin));
      if (!response) ::close(fd);
    } else {
      auto* const stream =
          new BodyStream(BodyStream::Options{.reply = reply,
                                             .plan = plan,
                                             .link = &server_->link_,
                                             .pace = &State(connection).pace,
                                             .log = &server_->log_,
                                             .record = record_,
                                             .gone = [socket] { return IsGone(socket); }});
      response.reset(MHD_create_response_from_callback(
          plan.chunked ? MHD_SIZE_UNKNOWN : plan.length, kBlock, ReadBody, stream, FreeBody));
      if (!response) FreeBody(stream);
    }
    return Queue(connection, reply, response.get());
  }

  MHD_Result Queue(MHD_Connection* connection, const S3Reply& reply, MHD_Response* response) {
    if (response == nullptr) return MHD_NO;
    head_bytes_ = 120;  // Status line, Date, Content-Length.
    for (const auto& [name, value] : reply.headers) {
      MHD_add_response_header(response, name.c_str(), value.c_str());
      head_bytes_ += name.size() + value.size() + 4;
    }
    return MHD_queue_response(connection, static_cast<unsigned>(reply.status), response);
  }

  OriginServer* const server_;
  S3Request request_;
  bool begun_ = false;
  Fd upload_;
  DigestContext digest_;
  std::string control_body_;
  std::shared_ptr<RequestLog::Record> record_;
  std::vector<Fault> faults_;
  // Bytes that the kernel was asked to send from the file, counted beforehand.
  std::uint64_t promised_ = 0;
  std::uint64_t sent_before_ = 0;
  std::uint64_t head_bytes_ = 0;
};

OriginServer::OriginServer(EmbeddedOrigin::Options options)
    : options_(std::move(options)),
      store_(options_.root),
      link_(options_.link),
      verifier_(options_.access_key.empty()
                    ? std::nullopt
                    : std::optional(SigV4Verifier({.access_key = options_.access_key,
                                                   .secret_key = options_.secret_key,
                                                   .session_token = options_.session_token,
                                                   .region = options_.region}))),
      s3_(&store_, verifier_ ? &*verifier_ : nullptr,
          {.region = options_.region,
           .virtual_domain = options_.virtual_domain,
           .plus_for_space = options_.plus_for_space,
           .page_items = options_.page_items}),
      control_(&store_, &link_, &faults_, &log_) {}

OriginServer::~OriginServer() { link_.Close(); }

Result<void> OriginServer::Start() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options_.port);
  if (::inet_pton(AF_INET, options_.address.c_str(), &address.sin_addr) != 1) {
    return Fail(Errc::kInvalid, options_.address + " is no IPv4 address");
  }
  unsigned flags =
      MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC;
  std::vector<MHD_OptionItem> tls;
  if (!options_.certificate_pem.empty()) {
    flags |= MHD_USE_TLS;
    tls.push_back(
        {MHD_OPTION_HTTPS_MEM_CERT, 0, const_cast<char*>(options_.certificate_pem.c_str())});
    tls.push_back(
        {MHD_OPTION_HTTPS_MEM_KEY, 0, const_cast<char*>(options_.private_key_pem.c_str())});
  }
  tls.push_back({MHD_OPTION_END, 0, nullptr});
  daemon_.reset(MHD_start_daemon(
      flags, options_.port, nullptr, nullptr, &OnRequest, this,                           //
      MHD_OPTION_SOCK_ADDR, reinterpret_cast<sockaddr*>(&address),                        //
      MHD_OPTION_URI_LOG_CALLBACK, &OnUri, this,                                          //
      MHD_OPTION_UNESCAPE_CALLBACK, &OnUnescape, nullptr,                                 //
      MHD_OPTION_NOTIFY_COMPLETED, &OnCompleted, nullptr,                                 //
      MHD_OPTION_NOTIFY_CONNECTION, &OnConnection, this,                                  //
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kBlock, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u,  //
      MHD_OPTION_CONNECTION_LIMIT, 4000u, MHD_OPTION_ARRAY, tls.data(), MHD_OPTION_END));
  if (!daemon_) {
    return Fail(Errc::kIo, fmt::format("cannot listen on {}:{} (port taken, or bad certificate)",
                                       options_.address, options_.port));
  }
  port_ = MHD_get_daemon_info(daemon_.get(), MHD_DAEMON_INFO_BIND_PORT)->port;
  return {};
}

std::string OriginServer::Url() const {
  return fmt::format("{}://{}:{}", options_.certificate_pem.empty() ? "http" : "https",
                     options_.address, port_);
}

void* OriginServer::OnUri(void* cls, const char* uri, MHD_Connection*) noexcept {
  return std::make_unique<Exchange>(static_cast<OriginServer*>(cls), uri).release();
}

MHD_Result OriginServer::OnRequest(void*, MHD_Connection* connection, const char*,
                                   const char* method, const char*, const char* data,
                                   std::size_t* data_size, void** context) noexcept {
  return static_cast<Exchange*>(*context)->Step(connection, method, data, data_size);
}

void OriginServer::OnCompleted(void*, MHD_Connection* connection, void** context,
                               MHD_RequestTerminationCode code) noexcept {
  const std::unique_ptr<Exchange> exchange(
      static_cast<Exchange*>(std::exchange(*context, nullptr)));
  if (exchange) exchange->Complete(connection, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

void OriginServer::OnConnection(void* cls, MHD_Connection*, void** context,
                                MHD_ConnectionNotificationCode code) noexcept {
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    *context =
        std::make_unique<Connection>(++static_cast<OriginServer*>(cls)->last_connection_).release();
  } else {
    delete static_cast<Connection*>(std::exchange(*context, nullptr));
  }
}

// We decode the raw target ourselves: a key may hold NUL, and `+` means itself in a path.
std::size_t OriginServer::OnUnescape(void*, MHD_Connection*, char* text) noexcept {
  return std::strlen(text);
}

}  // namespace modelfs::test
