#pragma once

#include <string>

#include "fetch/http/transport.h"

namespace modelfs::fetch {

/// The proxies of one source, as the variables of libcurl name them. May hold passwords: never
/// logged. Metadata and container endpoints are asked without.
///
/// Source: everything.curl.dev/usingcurl/proxies/env
struct ProxySettings {
  std::string http;      ///< http_proxy, in lower case alone: "http://[user:password@]host:3128".
  std::string https;     ///< https_proxy or HTTPS_PROXY.
  std::string all;       ///< all_proxy or ALL_PROXY: where the one above is empty.
  std::string no_proxy;  ///< no_proxy or NO_PROXY: "localhost,.example.com,10.0.0.0/8" or "*".

  /// Sets what `request`, whose URL is complete, is to be sent through.
  void Apply(HttpRequest& request) const;

  friend bool operator==(const ProxySettings&, const ProxySettings&) = default;
};

}  // namespace modelfs::fetch
