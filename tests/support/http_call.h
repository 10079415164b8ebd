#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fetch/base/error.h"

namespace modelfs::test {

/// A blocking HTTP request, for what tests do besides the code under test.
struct HttpCall {
  std::string method = "GET";
  std::string url;  ///< Sent as it is: no dot segments removed, nothing encoded.
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  std::string ca_pem = {};  ///< Of the authority to trust for https.

  struct Reply {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers = {};  ///< Names in lower case.
    std::string body = {};
    std::string Header(std::string_view lower_case_name) const;
  };

  /// Any status is a value.
  /// Errors: kTransient (no answer, or a broken one; the text is libcurl's).
  Result<Reply> Run() const;
};

}  // namespace modelfs::test
