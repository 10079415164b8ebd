#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "fetch/http/curl_loop.h"
#include "fetch/http/transport.h"

namespace modelfs::fetch {

/// HttpTransport over libcurl: HTTP/1.1, connections kept and reused, bodies undecoded,
/// certificates checked, redirects not followed, no proxy but the request's.
///
/// Threads: `http-0` .. `http-N`, one multi loop each; a request goes to the least busy one and its
/// callbacks run there. The destructor completes everything in flight with kCancelled and joins;
/// it must not run on one of them.
class CurlTransport final : public HttpTransport {
 public:
  struct Options {
    int threads = 2;                           ///< Multi loops, at least one.
    std::size_t connections_per_host = 64;     ///< Of each loop; more requests wait for one.
    std::string ca_bundle;                     ///< PEM file; empty: the system's.
    std::size_t max_header_bytes = 64u << 10;  ///< Of one answer; more is kCorrupt.
    Bandwidth* bandwidth = nullptr;  ///< Of all bodies that are streamed; borrowed; null: no limit.
  };
  explicit CurlTransport(Options options);
  ~CurlTransport() override;

  void Send(HttpRequest request, std::shared_ptr<BodyHandler> handler,
            Done<HttpResponse> done) override;

 private:
  // libcurl counts these; the first use and the last pair up.
  struct GlobalInit {
    GlobalInit();
    ~GlobalInit();
    GlobalInit(const GlobalInit&) = delete;
    GlobalInit& operator=(const GlobalInit&) = delete;
  };
  GlobalInit global_;
  std::vector<std::unique_ptr<CurlLoop>> loops_;
};

}  // namespace modelfs::fetch
