#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "fetch/base/bandwidth.h"
#include "fetch/http/curl_handle.h"
#include "fetch/http/transport.h"

namespace modelfs::fetch {

/// What every transfer of a transport shares.
struct CurlDefaults {
  std::string ca_bundle;  ///< PEM file; empty: what libcurl was built with.
  std::size_t max_header_bytes = 64u << 10;
  Bandwidth* bandwidth = nullptr;  ///< Borrowed; null: no limit.
};

/// One request on its way through libcurl: settings, callbacks, what has arrived.
///
/// Threads: made on any thread; everything else on the loop's thread.
/// Lifetime: outlives its easy handle's stay in the multi handle (libcurl holds pointers into it).
class CurlTransfer {
 public:
  CurlTransfer(HttpRequest request, std::shared_ptr<BodyHandler> handler, Done<HttpResponse> done);

  const HttpRequest& request() const { return request_; }

  /// Applies the request to `easy`, a handle without settings, and keeps it.
  /// Errors: kInvalid (URL or header), kTransient (no memory).
  Result<void> Attach(CurlEasy easy, const CurlDefaults& defaults);
  CURL* easy() const { return easy_.get(); }
  CurlEasy Detach() { return std::move(easy_); }

  /// Its body waits for its turn under the limit of bandwidth, since when; nullopt: it does not.
  std::optional<Bandwidth::Clock::time_point> paused_since() const { return paused_since_; }
  Bandwidth::Need need() const;
  /// Takes what libcurl has kept meanwhile, and goes on. Requires: in a multi handle.
  void Resume();

  /// True when libcurl's failure `code` hit a connection that had served earlier requests before
  /// this answer began, and the request may be sent once more: the server had closed it meanwhile.
  bool DiedOnReusedConnection(CURLcode code);

  /// Calls back with the outcome that libcurl reported. Requires: not in a multi handle.
  void Finish(CURLcode code);
  void Fail(Error error);

 private:
  static std::size_t OnHeader(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static std::size_t OnBody(char* data, std::size_t size, std::size_t count, void* self) noexcept;

  bool TakeHeader(std::string_view line);
  /// Why an answer with this header cannot be trusted to say which bytes it brings.
  std::optional<Error> RefuseHeader(const std::string& name, const std::string& value) const;
  bool TakeBody(std::span<const std::byte> bytes);
  bool MustWait(std::size_t bytes);
  void BeginBody();
  Result<void> SetHeaders();

  HttpRequest request_;
  std::shared_ptr<BodyHandler> handler_;
  Done<HttpResponse> done_;
  HttpResponse response_;
  CurlEasy easy_;
  CurlList headers_;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  std::size_t header_bytes_ = 0;
  std::size_t max_header_bytes_ = 0;
  bool head_complete_ = false;  // The handler has seen the head.
  bool streaming_ = false;      // The handler takes the body.
  bool resent_ = false;
  Bandwidth* bandwidth_ = nullptr;
  std::optional<Bandwidth::Clock::time_point> paused_since_;
  std::optional<Error> refusal_;  // Why one of our callbacks ended the transfer.
};

}  // namespace modelfs::fetch
