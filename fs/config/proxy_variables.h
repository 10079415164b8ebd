#pragma once

#include "fetch/http/proxy.h"
#include "fs/config/environment.h"

namespace modelfs::fs {

/// The variables of libcurl: http_proxy (in lower case alone), https_proxy, all_proxy and no_proxy
/// (or in upper case).
fetch::ProxySettings FindProxies(const Environment& env);

}  // namespace modelfs::fs
