#include "fetch/http/curl_transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "fetch/base/percent.h"
#include "fetch/base/text.h"
#include "fetch/http/curl_error.h"

namespace modelfs::fetch {
namespace {

// The largest read that libcurl allows: fewer system calls per byte.
constexpr long kReadBufferBytes = 512L << 10;
// Idle connections older than this are not reused. S3 closes them after some 20 s.
constexpr long kMaxIdleSeconds = 15;
// Bounds how long we go on with an address that DNS no longer names.
constexpr long kMaxConnectionLifeSeconds = 600;

// What says which bytes an answer brings: two of one that differ make it ambiguous.
bool NamesTheBytes(std::string_view name) {
  return name == "content-range" || name == "content-length" || name == "etag" ||
         name == "last-modified";
}

// libcurl takes chunks apart, and unpacks what it was not asked to have packed.
bool IsPlainCoding(std::string_view coding) {
  return coding.empty() || coding == "chunked" || coding == "identity";
}

}  // namespace

CurlTransfer::CurlTransfer(HttpRequest request, std::shared_ptr<BodyHandler> handler,
                           Done<HttpResponse> done)
    : request_(std::move(request)), handler_(std::move(handler)), done_(std::move(done)) {}

Result<void> CurlTransfer::SetHeaders() {
  CurlList list;
  const auto add = [&list](const std::string& line) {
    curl_slist* grown = curl_slist_append(list.get(), line.c_str());
    if (grown == nullptr) return false;
    // Appending keeps the head; only the first call makes one.
    if (list == nullptr) list.reset(grown);
    return true;
  };
  // Without these libcurl adds headers of its own.
  bool ok = add("Accept:") && add("Expect:");
  if (!request_.body.empty()) ok = ok && add("Content-Type:");
  for (const auto& [name, value] : request_.headers) {
    constexpr std::string_view kBreaks("\r\n\0", 3);
    if (name.empty() || name.find_first_of(kBreaks) != std::string::npos ||
        value.find_first_of(kBreaks) != std::string::npos) {
      return modelfs::Fail(Errc::kInvalid, DescribeRequest(request_.method, request_.url) +
                                               ": a header holds a line break");
    }
    // "Name;" is libcurl's way to send a header without a value.
    ok = ok && add(value.empty() ? fmt::format("{};", name) : fmt::format("{}: {}", name, value));
  }
  if (!ok) return modelfs::Fail(Errc::kTransient, "no memory for the headers of a request");
  headers_ = std::move(list);
  return {};
}

Result<void> CurlTransfer::Attach(CurlEasy easy, const CurlDefaults& defaults) {
  if (request_.url.find_first_of(std::string_view("\r\n\0 ", 4)) != std::string::npos) {
    return modelfs::Fail(Errc::kInvalid,
                         DescribeRequest(request_.method, request_.url) + ": malformed URL");
  }
  if (Result<void> headers = SetHeaders(); !headers) return headers;
  max_header_bytes_ = defaults.max_header_bytes;
  bandwidth_ = defaults.bandwidth;
  CURL* h = easy.get();
  CURLcode worst = CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    const CURLcode code = curl_easy_setopt(h, option, value);
    if (code != CURLE_OK) worst = code;
  };
  set(CURLOPT_URL, request_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  // Always set: libcurl would read the environment.
  set(CURLOPT_PROXY, request_.proxy.c_str());
  set(CURLOPT_NOPROXY, request_.no_proxy.c_str());
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_BUFFERSIZE, kReadBufferBytes);
  set(CURLOPT_TCP_NODELAY, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_TCP_KEEPIDLE, 30L);
  set(CURLOPT_TCP_KEEPINTVL, 10L);
  set(CURLOPT_MAXAGE_CONN, kMaxIdleSeconds);
  set(CURLOPT_MAXLIFETIME_CONN, kMaxConnectionLifeSeconds);
  set(CURLOPT_QUICK_EXIT, 1L);  // Do not wait for a resolver that hangs.
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_timeout.count()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(request_.total_timeout.count()));
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request_.low_speed_time.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(request_.low_speed_bytes));
  set(CURLOPT_HTTPHEADER, headers_.get());
  if (request_.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request_.method != "GET" || !request_.body.empty()) {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(CURLOPT_POSTFIELDS, request_.body.data());
    set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
  const std::string& ca = request_.ca_bundle.empty() ? defaults.ca_bundle : request_.ca_bundle;
  if (!ca.empty()) {
    std::error_code error;
    const bool folder = std::filesystem::is_directory(ca, error);
    set(CURLOPT_CAINFO, folder ? nullptr : ca.c_str());
    set(CURLOPT_CAPATH, folder ? ca.c_str() : nullptr);
  }
  if (!request_.client_certificate.empty()) {
    set(CURLOPT_SSLCERT, request_.client_certificate.c_str());
  }
  if (request_.insecure_tls) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  set(CURLOPT_ERRORBUFFER, error_text_.data());
  set(CURLOPT_HEADERFUNCTION, &CurlTransfer::OnHeader);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &CurlTransfer::OnBody);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_PRIVATE, this);
  if (resent_) set(CURLOPT_FRESH_CONNECT, 1L);
  if (worst != CURLE_OK) {
    return std::unexpected(CurlFailure(worst, {}, 0, request_.method, request_.url));
  }
  easy_ = std::move(easy);
  return {};
}

bool CurlTransfer::DiedOnReusedConnection(CURLcode code) {
  if (resent_ || response_.status != 0 || refusal_) return false;
  if (code != CURLE_RECV_ERROR && code != CURLE_SEND_ERROR && code != CURLE_GOT_NOTHING)
    return false;
  if (request_.method != "GET" && request_.method != "HEAD") return false;
  long connects = 1;
  if (curl_easy_getinfo(easy_.get(), CURLINFO_NUM_CONNECTS, &connects) != CURLE_OK) return false;
  if (connects != 0) return false;
  resent_ = true;
  error_text_.fill('\0');
  return true;
}

void CurlTransfer::Finish(CURLcode code) {
  if (request_.StopRequested() && code != CURLE_OK) code = CURLE_ABORTED_BY_CALLBACK;
  if (code != CURLE_OK) {
    if (refusal_ && code == CURLE_WRITE_ERROR) return Fail(std::move(*refusal_));
    long os_errno = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &os_errno);
    return Fail(CurlFailure(code, error_text_.data(), os_errno, request_.method, request_.url));
  }
  if (response_.status == 0) {
    return Fail(
        {Errc::kTransient, DescribeRequest(request_.method, request_.url) + ": empty answer"});
  }
  if (!head_complete_) BeginBody();
  curl_off_t first_byte = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_STARTTRANSFER_TIME_T, &first_byte);
  response_.time_to_first_byte = std::chrono::microseconds(first_byte);
  handler_.reset();
  std::exchange(done_, nullptr)(std::move(response_));
}

void CurlTransfer::Fail(Error error) {
  handler_.reset();
  std::exchange(done_, nullptr)(std::unexpected(std::move(error)));
}

std::size_t CurlTransfer::OnHeader(char* data, std::size_t size, std::size_t count,
                                   void* self) noexcept {
  const std::size_t bytes = size * count;
  return static_cast<CurlTransfer*>(self)->TakeHeader({data, bytes}) ? bytes : 0;
}

std::size_t CurlTransfer::OnBody(char* data, std::size_t size, std::size_t count,
                                 void* self) noexcept {
  const std::size_t bytes = size * count;
  const auto span = std::as_bytes(std::span(data, bytes));
  auto* const transfer = static_cast<CurlTransfer*>(self);
  if (transfer->MustWait(bytes)) return CURL_WRITEFUNC_PAUSE;
  return transfer->TakeBody(span) ? bytes : 0;
}

Bandwidth::Need CurlTransfer::need() const {
  return handler_->IsUrgent() ? Bandwidth::Need::kWaitedFor : Bandwidth::Need::kAhead;
}

bool CurlTransfer::MustWait(std::size_t bytes) {
  if (bandwidth_ == nullptr || bandwidth_->limit() == 0 || request_.StopRequested()) return false;
  if (!head_complete_) BeginBody();
  if (!streaming_) return false;  // Lists and errors are small.
  if (bandwidth_->Take(bytes, need()) == Bandwidth::Clock::duration()) return false;
  paused_since_ = Bandwidth::Clock::now();
  return true;
}

void CurlTransfer::Resume() {
  paused_since_.reset();
  curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
}

bool CurlTransfer::TakeHeader(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > max_header_bytes_) {
    refusal_ = Error{Errc::kCorrupt, fmt::format("{}: more than {} bytes of headers",
                                                 DescribeRequest(request_.method, request_.url),
                                                 max_header_bytes_)};
    return false;
  }
  if (line.starts_with("HTTP/")) {  // A 100 Continue may come before the answer itself.
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
    response_.headers.clear();
    return true;
  }
  if (line.starts_with(' ') || line.starts_with('\t')) {  // The last header goes on.
    if (!head_complete_ && !response_.headers.empty()) {
      response_.headers.back().second.append(" ").append(Trim(line));
    }
    return true;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  // After the body began these are trailers of a chunked body, which nobody asked for.
  if (head_complete_) return true;
  std::string name = Lower(Trim(line.substr(0, colon)));
  std::string value(Trim(line.substr(colon + 1)));
  if (auto error = RefuseHeader(name, value)) {
    refusal_ = std::move(error);
    return false;
  }
  response_.headers.emplace_back(std::move(name), std::move(value));
  return true;
}

std::optional<Error> CurlTransfer::RefuseHeader(const std::string& name,
                                                const std::string& value) const {
  const auto refuse = [this](std::string_view why) {
    return Error{Errc::kCorrupt,
                 fmt::format("{}: {}", DescribeRequest(request_.method, request_.url), why)};
  };
  if (name == "transfer-encoding" && !IsPlainCoding(Lower(value))) {
    return refuse(
        fmt::format("Transfer-Encoding '{}', which nobody asked for", Printable(value, 40)));
  }
  if (!NamesTheBytes(name)) return std::nullopt;
  for (const auto& [other_name, other] : response_.headers) {
    if (other_name == name && other != value) {
      return refuse(fmt::format("two headers '{}' that differ: '{}' and '{}'", name,
                                Printable(other, 40), Printable(value, 40)));
    }
  }
  return std::nullopt;
}

void CurlTransfer::BeginBody() {
  head_complete_ = true;
  streaming_ = handler_ && handler_->OnHeaders(response_);
}

bool CurlTransfer::TakeBody(std::span<const std::byte> bytes) {
  if (request_.StopRequested()) {
    refusal_ =
        Error{Errc::kCancelled, DescribeRequest(request_.method, request_.url) + ": cancelled"};
    return false;
  }
  if (!head_complete_) BeginBody();
  if (streaming_) {
    if (handler_->OnBody(bytes)) return true;
    refusal_ = Error{Errc::kCancelled,
                     DescribeRequest(request_.method, request_.url) + ": no more bytes are wanted"};
    return false;
  }
  if (bytes.size() > request_.max_body_bytes - response_.body.size()) {
    refusal_ = Error{Errc::kCorrupt, fmt::format("{}: the answer is larger than {} bytes",
                                                 DescribeRequest(request_.method, request_.url),
                                                 request_.max_body_bytes)};
    return false;
  }
  response_.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return true;
}

}  // namespace modelfs::fetch
