#include "fetch/s3/s3_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "fetch/base/percent.h"
#include "fetch/s3/xml.h"

namespace modelfs::fetch {
namespace {

constexpr std::size_t kMaxMessage = 200;

bool OneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

bool IsThrottling(int status, std::string_view code) {
  return status == 429 ||
         OneOf(code, {"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException",
                      "RequestLimitExceeded", "RequestThrottled", "TooManyRequests",
                      "RequestThrottledException", "BandwidthLimitExceeded"});
}

bool IsUnknownKey(std::string_view code) {  // The last is versitygw's, with status 404.
  return OneOf(code, {"InvalidAccessKeyId", "InvalidClientTokenId", "XAdminUserNotFound"});
}

// Keys of a role and the like: the principal is no access key id then.
std::string Who(const S3Context& context) {
  if (context.principal == "anonymous") return "anonymous requests (no credentials are used)";
  const bool is_key_id = !context.principal.contains(':');
  return fmt::format("{}'{}'", is_key_id ? "access key id " : "", Printable(context.principal));
}

// What is wrong and what to do, in our words, where the code tells; else the server's message.
std::string Explain(int status, const S3Error& error, const S3Context& context) {
  const std::string& code = error.code;
  const std::string who = Who(context);
  if (code == "NoSuchBucket") {
    return fmt::format("bucket '{}' does not exist at {}", context.bucket, context.endpoint);
  }
  if (IsUnknownKey(code)) {
    return fmt::format("{} is not known at {}", who, context.endpoint);
  }
  if (code == "SignatureDoesNotMatch") {
    return fmt::format("the secret key does not match {} (or something between alters requests)",
                       who);
  }
  if (OneOf(code, {"ExpiredToken", "TokenRefreshRequired"})) {
    return "the session token has expired: give fresh credentials";
  }
  if (code == "InvalidToken") return "the session token is not valid for this access key id";
  if (code == "RequestTimeTooSkewed")
    return "this machine's clock differs too much from the server's";
  if (status == 403 || status == 401) {
    return fmt::format("access to bucket '{}' at {} is denied to {}", context.bucket,
                       context.endpoint, who);
  }
  if (IsRegionError(status, error)) {
    return error.region.empty()
               ? fmt::format("bucket '{}' lives in another region; set region or endpoint",
                             context.bucket)
               : fmt::format("bucket '{}' lives in region {}; set region or endpoint accordingly",
                             context.bucket, Printable(error.region, 64));
  }
  if (status >= 300 && status < 400) {
    return fmt::format("{} answers with a redirect, which is not followed; is it an S3 endpoint?",
                       context.endpoint);
  }
  return Printable(error.message, kMaxMessage);
}

}  // namespace

S3Error ParseS3Error(const HttpResponse& response) {
  S3Error out;
  out.region = response.Header("x-amz-bucket-region");
  out.request_id = response.Header("x-amz-request-id");
  pugi::xml_document document;
  if (response.body.empty() ||
      !document.load_buffer(response.body.data(), response.body.size(), kXmlFlags)) {
    return out;
  }
  pugi::xml_node root = document.document_element();
  if (LocalName(root) == "ErrorResponse") root = Child(root, "Error");
  if (LocalName(root) != "Error") return out;
  out.code = ChildText(root, "Code");
  out.message = ChildText(root, "Message");
  if (out.request_id.empty()) out.request_id = ChildText(root, "RequestId");
  if (out.region.empty()) out.region = ChildText(root, "Region");
  return out;
}

S3Failure ClassifyS3Error(int status, const S3Error& error) {
  if (IsThrottling(status, error.code)) return {Errc::kTransient, RetryKind::kThrottling};
  if (OneOf(error.code,
            {"RequestTimeout", "InternalError", "OperationAborted", "RequestTimeoutException"})) {
    return {Errc::kTransient, RetryKind::kTransient};
  }
  if (IsKeysError(error)) return {Errc::kDenied, std::nullopt};
  switch (status) {
    case 401:
    case 403: return {Errc::kDenied, std::nullopt};
    case 404: return {Errc::kNotFound, std::nullopt};
    case 412: return {Errc::kChanged, std::nullopt};
    case 416: return {Errc::kCorrupt, std::nullopt};
    case 408:
    case 425: return {Errc::kTransient, RetryKind::kTransient};
    case 501:
    case 505: return {Errc::kInvalid, std::nullopt};
    default: break;
  }
  if (status >= 500) return {Errc::kTransient, RetryKind::kTransient};
  return {Errc::kInvalid, std::nullopt};
}

bool IsKeysError(const S3Error& error) {
  return IsUnknownKey(error.code) || OneOf(error.code, {"ExpiredToken", "ExpiredTokenException",
                                                        "InvalidToken", "TokenRefreshRequired"});
}

bool IsRegionError(int status, const S3Error& error) {
  if (OneOf(error.code, {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed",
                         "IllegalLocationConstraintException"})) {
    return true;
  }
  // HEAD gives the bare status.
  return !error.region.empty() && (status == 301 || status == 307 || status == 400) &&
         error.code.empty();
}

std::string DescribeS3Error(std::string_view operation, int status, const S3Error& error,
                            const S3Context& context) {
  std::string out = fmt::format("{}: HTTP {}", operation, status);
  if (!error.code.empty()) out.append(" ").append(Printable(error.code, 64));
  if (const std::string why = Explain(status, error, context); !why.empty())
    out.append(": ").append(why);
  if (!error.request_id.empty())
    out += fmt::format(" (request {})", Printable(error.request_id, 64));
  return out;
}

std::optional<std::chrono::milliseconds> ServerAsksToWait(const HttpResponse& response) {
  const auto number = [&](std::string_view name) -> std::optional<std::int64_t> {
    const std::string_view text = response.Header(name);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
      return std::nullopt;
    return std::clamp<std::int64_t>(value, 0, 3'600'000);
  };
  if (const auto ms = number("x-amz-retry-after")) return std::chrono::milliseconds(*ms);
  if (const auto s = number("retry-after")) return std::chrono::seconds(*s);
  return std::nullopt;
}

}  // namespace modelfs::fetch
