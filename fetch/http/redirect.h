#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/http/transport.h"

namespace modelfs::fetch {

/// Follows the redirects of one request, by our own rules: at most five, none in a circle, http or
/// https alone, never from https to http, and never to an address of this machine or of its link
/// (metadata services live there) unless the request began at that host.
///
/// Threads: one at a time.
class RedirectTrail {
 public:
  static constexpr int kMost = 5;
  explicit RedirectTrail(std::string url) : seen_{std::move(url)} {}

  static bool IsRedirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  }

  const std::string& url() const { return seen_.back(); }
  /// The URL to go on with, after `response` to the last one.
  /// Errors: kInvalid, naming what is wrong with it; its query is not shown.
  Result<std::string> Follow(const HttpResponse& response);
  /// Whether credentials for the first URL may be sent to the last one: the same host and port, and
  /// the same scheme or https in place of http on the ports of both.
  bool SameHost() const;

 private:
  std::vector<std::string> seen_;
};

}  // namespace modelfs::fetch
