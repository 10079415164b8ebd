#include "fetch/http/curl_transport.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace modelfs::fetch {

CurlTransport::GlobalInit::GlobalInit() { curl_global_init(CURL_GLOBAL_DEFAULT); }
CurlTransport::GlobalInit::~GlobalInit() { curl_global_cleanup(); }

CurlTransport::CurlTransport(Options options) {
  if (options.ca_bundle.empty()) {
    // The same certificates as libcurl's default file and directory; only a lone file is parsed
    // once for all connections.
    const curl_version_info_data* info = curl_version_info(CURLVERSION_NOW);
    std::error_code ignored;
    if (info->age >= CURLVERSION_SEVENTH && info->cainfo != nullptr &&
        std::filesystem::exists(info->cainfo, ignored)) {
      options.ca_bundle = info->cainfo;
    }
  }
  for (int i = 0; i < std::max(1, options.threads); ++i) {
    loops_.push_back(std::make_unique<CurlLoop>(CurlLoop::Options{
        .thread_name = fmt::format("http-{}", i),
        .defaults = {.ca_bundle = options.ca_bundle,
                     .max_header_bytes = options.max_header_bytes,
                     .bandwidth = options.bandwidth},
        .connections_per_host = options.connections_per_host,
    }));
  }
}

CurlTransport::~CurlTransport() {
  for (const auto& loop : loops_) loop->RequestStop();
  for (const auto& loop : loops_) loop->Join();
  // A completion may have sent to a loop that had ended, and what it sends in turn may do so again.
  bool more = true;
  while (more) {
    more = false;
    for (const auto& loop : loops_) more = loop->CompleteLeftovers() || more;
  }
}

void CurlTransport::Send(HttpRequest request, std::shared_ptr<BodyHandler> handler,
                         Done<HttpResponse> done) {
  auto transfer =
      std::make_unique<CurlTransfer>(std::move(request), std::move(handler), std::move(done));
  // The first of equals, so that a lone reader keeps using the same warm connection.
  const auto least = std::ranges::min_element(
      loops_, {}, [](const std::unique_ptr<CurlLoop>& loop) { return loop->InFlight(); });
  (*least)->Add(std::move(transfer));
}

}  // namespace modelfs::fetch
