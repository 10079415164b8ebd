#include "tests/support/origin/sigv4_verifier.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <charconv>
#include <ctime>

namespace modelfs::test {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr auto kMaxSkew = std::chrono::minutes(15);

std::string Hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string Sha256(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return {reinterpret_cast<const char*>(digest), sizeof digest};
}

std::string Hmac(std::string_view key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  return {reinterpret_cast<const char*>(digest), size};
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// Runs of spaces become one; values of a header sent twice are joined.
std::string CanonicalValue(const S3Request& request, std::string_view name) {
  std::string out;
  bool first = true;
  for (const auto& [known, value] : request.headers) {
    if (known != name) continue;
    if (!first) out += ',';
    first = false;
    for (const char c : value) {
      if (c != ' ' || out.empty() || out.back() != ' ') out += c;
    }
  }
  return out;
}

std::string CanonicalQuery(const RequestTarget& target, std::string_view without) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [key, value] : target.query) {
    if (key != without) pairs.emplace_back(PercentEncode(key), PercentEncode(value));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [key, value] : pairs) {
    if (!out.empty()) out += '&';
    out.append(key).append("=").append(value);
  }
  return out;
}

std::optional<std::chrono::system_clock::time_point> ParseDate(const std::string& text) {
  std::tm tm{};
  const char* end = strptime(text.c_str(), "%Y%m%dT%H%M%SZ", &tm);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::chrono::system_clock::from_time_t(timegm(&tm));
}

S3Error Malformed(std::string message) {
  return {400, "AuthorizationHeaderMalformed", std::move(message)};
}

}  // namespace

/// What a request says about its own signature.
struct SigV4Verifier::Claim {
  std::string access_key, date, region, service, terminator;
  std::string timestamp;  ///< "20130524T000000Z"
  std::vector<std::string> signed_headers;
  std::string signature;
  std::string payload_hash;
  std::string token;
  bool presigned = false;
  std::chrono::seconds expires{0};

  bool SetScope(std::string_view credential) {
    const std::vector<std::string> parts = Split(credential, '/');
    if (parts.size() != 5) return false;
    access_key = parts[0];
    date = parts[1];
    region = parts[2];
    service = parts[3];
    terminator = parts[4];
    return true;
  }
};

std::optional<S3Error> SigV4Verifier::ParseHeader(const S3Request& request, Claim& claim) {
  const std::string_view header = request.Header("authorization");
  if (!header.starts_with(kAlgorithm)) {
    return S3Error{400, "InvalidRequest", "Only AWS4-HMAC-SHA256 is understood."};
  }
  for (std::string part : Split(header.substr(kAlgorithm.size()), ',')) {
    part.erase(0, part.find_first_not_of(' '));
    const std::size_t equals = std::min(part.find('='), part.size());
    const std::string name = part.substr(0, equals);
    const std::string value = part.substr(std::min(equals + 1, part.size()));
    if (name == "Credential" && !claim.SetScope(value)) return Malformed("Credential is wrong.");
    if (name == "SignedHeaders") claim.signed_headers = Split(value, ';');
    if (name == "Signature") claim.signature = value;
  }
  claim.timestamp = request.Header("x-amz-date");
  claim.payload_hash = request.Header("x-amz-content-sha256");
  claim.token = request.Header("x-amz-security-token");
  if (claim.payload_hash.empty()) {
    return S3Error{400, "InvalidRequest",
                   "Missing required header for this request: x-amz-content-sha256"};
  }
  return std::nullopt;
}

std::optional<S3Error> SigV4Verifier::ParseQuery(const S3Request& request, Claim& claim) {
  const RequestTarget& target = request.target;
  claim.presigned = true;
  if (target.Find("X-Amz-Algorithm") != kAlgorithm ||
      !claim.SetScope(target.Find("X-Amz-Credential").value_or(""))) {
    return S3Error{400, "AuthorizationQueryParametersError", "The query is no signature."};
  }
  const std::string expires = target.Find("X-Amz-Expires").value_or("");
  long seconds = 0;
  const auto [end, code] =
      std::from_chars(expires.data(), expires.data() + expires.size(), seconds);
  if (code != std::errc() || end != expires.data() + expires.size() || seconds < 1 ||
      seconds > 604'800) {
    return S3Error{400, "AuthorizationQueryParametersError", "X-Amz-Expires is wrong."};
  }
  claim.expires = std::chrono::seconds(seconds);
  claim.timestamp = target.Find("X-Amz-Date").value_or("");
  claim.signed_headers = Split(target.Find("X-Amz-SignedHeaders").value_or(""), ';');
  claim.signature = target.Find("X-Amz-Signature").value_or("");
  claim.token = target.Find("X-Amz-Security-Token").value_or("");
  claim.payload_hash = "UNSIGNED-PAYLOAD";
  return std::nullopt;
}

std::optional<S3Error> SigV4Verifier::Parse(const S3Request& request, Claim& claim) {
  const bool header = !request.Header("authorization").empty();
  const bool query = request.target.Find("X-Amz-Signature").has_value();
  if (header && query) {
    return S3Error{400, "InvalidArgument", "Only one auth mechanism allowed."};
  }
  if (!header && !query) return S3Error{403, "AccessDenied", "Access Denied"};
  return header ? ParseHeader(request, claim) : ParseQuery(request, claim);
}

std::optional<S3Error> SigV4Verifier::CheckHeaders(const S3Request& request, const Claim& claim) {
  const std::vector<std::string>& names = claim.signed_headers;
  if (!std::is_sorted(names.begin(), names.end()) ||
      std::any_of(names.begin(), names.end(), [](const std::string& name) {
        return std::any_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
      })) {
    return Malformed("SignedHeaders must be in lower case and sorted.");
  }
  const auto is_signed = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (!is_signed("host")) return Malformed("host must be signed.");
  for (const auto& [name, value] : request.headers) {
    if (name.starts_with("x-amz-") && !is_signed(name)) {
      return S3Error{403, "AccessDenied",
                     "There were headers present in the request which were not signed: " + name};
    }
  }
  return std::nullopt;
}

std::optional<S3Error> SigV4Verifier::CheckClaim(const S3Request& request, const Claim& claim,
                                                 std::chrono::system_clock::time_point now) const {
  if (claim.access_key != options_.access_key) {
    return S3Error{403, "InvalidAccessKeyId",
                   "The AWS Access Key Id you provided does not exist in our records."};
  }
  const auto signed_at = ParseDate(claim.timestamp);
  if (!signed_at) return S3Error{403, "AccessDenied", "x-amz-date is missing or malformed."};
  if (claim.date != claim.timestamp.substr(0, 8)) return Malformed("The date does not match.");
  if (claim.service != "s3" || claim.terminator != "aws4_request") {
    return Malformed("The scope must end in s3/aws4_request.");
  }
  if (claim.region != options_.region) {
    S3Error error = Malformed(
        fmt::format("The region '{}' is wrong; expecting '{}'", claim.region, options_.region));
    error.details.emplace_back("Region", options_.region);
    return error;
  }
  if (claim.token != options_.session_token && !options_.session_token.empty()) {
    return S3Error{400, "InvalidToken", "The provided token is malformed or otherwise invalid."};
  }
  if (auto error = CheckHeaders(request, claim)) return error;
  if (claim.presigned && now > *signed_at + claim.expires) {
    return S3Error{403, "AccessDenied", "Request has expired"};
  }
  if (*signed_at > now + kMaxSkew || (!claim.presigned && *signed_at < now - kMaxSkew)) {
    return S3Error{403, "RequestTimeTooSkewed",
                   "The difference between the request time and the current time is too large."};
  }
  return std::nullopt;
}

std::string SigV4Verifier::Signature(const S3Request& request, const Claim& claim) const {
  std::string names, headers;
  for (const std::string& name : claim.signed_headers) {
    if (!names.empty()) names += ';';
    names += name;
    headers += name + ':' + CanonicalValue(request, name) + '\n';
  }
  const std::string canonical =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method,
                  PercentEncode(PercentDecode(request.target.raw_path), "/"),
                  CanonicalQuery(request.target, claim.presigned ? "X-Amz-Signature" : ""), headers,
                  names, claim.payload_hash);
  const std::string to_sign =
      fmt::format("{}\n{}\n{}/{}/{}/{}\n{}", kAlgorithm, claim.timestamp, claim.date, claim.region,
                  claim.service, claim.terminator, Hex(Sha256(canonical)));
  std::string key = Hmac("AWS4" + options_.secret_key, claim.date);
  for (const std::string* part : {&claim.region, &claim.service, &claim.terminator}) {
    key = Hmac(key, *part);
  }
  return Hex(Hmac(key, to_sign));
}

std::string SigV4Verifier::Expected(const S3Request& request) const {
  Claim claim;
  if (Parse(request, claim)) return {};
  return Signature(request, claim);
}

std::optional<S3Error> SigV4Verifier::Check(const S3Request& request,
                                            std::chrono::system_clock::time_point now) const {
  Claim claim;
  if (auto error = Parse(request, claim)) return error;
  if (auto error = CheckClaim(request, claim, now)) return error;
  const std::string expected = Signature(request, claim);
  if (expected.size() != claim.signature.size() ||
      CRYPTO_memcmp(expected.data(), claim.signature.data(), expected.size()) != 0) {
    return S3Error{403, "SignatureDoesNotMatch",
                   "The request signature we calculated does not match the signature you provided. "
                   "Check your key and signing method."};
  }
  if (!claim.presigned && claim.payload_hash != "UNSIGNED-PAYLOAD") {
    const std::string actual =
        request.upload_sha256.empty() ? Hex(Sha256("")) : request.upload_sha256;
    if (claim.payload_hash != actual) {
      return S3Error{
          400, "XAmzContentSHA256Mismatch",
          "The provided 'x-amz-content-sha256' header does not match what was computed."};
    }
  }
  return std::nullopt;
}

}  // namespace modelfs::test
