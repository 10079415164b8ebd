#include "fetch/http/proxy.h"

namespace modelfs::fetch {

void ProxySettings::Apply(HttpRequest& request) const {
  const std::string& own = request.url.starts_with("https:") ? https : http;
  request.proxy = own.empty() ? all : own;
  request.no_proxy = no_proxy;
}

}  // namespace modelfs::fetch
