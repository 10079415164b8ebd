#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fetch/base/byte_range.h"
#include "tests/support/origin/object_store.h"
#include "tests/support/origin/url.h"

namespace modelfs::test {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// A request as the S3 side of the origin sees it; the body of an upload lies in a file already.
struct S3Request {
  std::string method;
  RequestTarget target;
  Headers headers;  ///< Names in lower case, values trimmed; in the order sent.
  std::string upload_path;
  std::string upload_sha256;  ///< Hex; empty when there was no body.

  /// The first value of `lower_case_name`; "" when absent.
  std::string_view Header(std::string_view lower_case_name) const;
};

/// What is sent back: a text, or a range of an object.
struct S3Reply {
  int status = 200;
  Headers headers;
  std::string text;
  std::optional<OpenObject> object;
  ByteRange range;  ///< Of `object`.

  void SetHeader(std::string_view name, std::string value);
};

/// A refusal in S3's words.
struct S3Error {
  int status = 400;
  std::string code;
  std::string message;
  std::vector<std::pair<std::string, std::string>> details = {};  ///< Further elements.
};

/// The XML document of `error`, about `resource` (the path as sent).
S3Reply ErrorReply(const S3Error& error, std::string_view resource);

/// Text as XML character data. Control characters, which XML 1.0 cannot hold, become numeric
/// references as S3 itself sends them.
std::string XmlEscape(std::string_view text);

}  // namespace modelfs::test
