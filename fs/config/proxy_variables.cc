#include "fs/config/proxy_variables.h"

namespace modelfs::fs {

fetch::ProxySettings FindProxies(const Environment& env) {
  const auto either = [&env](const char* lower, const char* upper) {
    return env.Get(lower).value_or(env.Get(upper).value_or(""));
  };
  // HTTP_PROXY is what a CGI client's "Proxy:" header becomes; libcurl does not read it either.
  return {.http = env.Get("http_proxy").value_or(""),
          .https = either("https_proxy", "HTTPS_PROXY"),
          .all = either("all_proxy", "ALL_PROXY"),
          .no_proxy = either("no_proxy", "NO_PROXY")};
}

}  // namespace modelfs::fs
