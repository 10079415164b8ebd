#pragma once

#include <curl/curl.h>

#include "fetch/base/handle.h"

namespace modelfs::fetch {

using CurlEasy = Handle<CURL, curl_easy_cleanup>;
using CurlMulti = Handle<CURLM, curl_multi_cleanup>;
using CurlList = Handle<curl_slist, curl_slist_free_all>;
using CurlUrl = Handle<CURLU, curl_url_cleanup>;

}  // namespace modelfs::fetch
