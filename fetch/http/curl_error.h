#pragma once

#include <curl/curl.h>

#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fetch {

/// What was asked for, for messages: "GET http://host:9000/bucket/key", without the query (it may
/// hold a signature) and without user information.
std::string DescribeRequest(std::string_view method, std::string_view url);

/// The one translation of libcurl's failures. `detail`: CURLOPT_ERRORBUFFER's text, may be empty.
/// `os_errno`: CURLINFO_OS_ERRNO, 0 when unknown.
Error CurlFailure(CURLcode code, std::string_view detail, long os_errno, std::string_view method,
                  std::string_view url);

}  // namespace modelfs::fetch
