#include "fetch/s3/sigv4.h"

#include <fmt/format.h>

#include <algorithm>

#include "fetch/base/percent.h"
#include "fetch/base/sha256.h"
#include "fetch/base/time_text.h"

namespace modelfs::fetch {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string ScopeText(const SigV4Scope& scope, std::string_view amz_date) {
  return fmt::format("{}/{}/{}/aws4_request", amz_date.substr(0, 8), scope.region, scope.service);
}

NameValues SortedHeaders(NameValues headers) {
  std::ranges::sort(headers);
  return headers;
}

std::string SignedHeaderNames(const NameValues& sorted) {
  std::string out;
  for (const auto& [name, value] : sorted) out += (out.empty() ? "" : ";") + name;
  return out;
}

// Blanks around the value do not count, runs of them inside count as one.
std::string CanonicalValue(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool blank = c == ' ' || c == '\t';
    if (blank && (out.empty() || out.back() == ' ')) continue;
    out.push_back(blank ? ' ' : c);
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string Signature(const SigV4Request& request, std::string_view canonical_query,
                      const NameValues& sorted_headers, const Credentials& credentials,
                      const SigV4Scope& scope, std::string_view amz_date) {
  std::string canonical =
      fmt::format("{}\n{}\n{}\n", request.method, request.path, canonical_query);
  for (const auto& [name, value] : sorted_headers) {
    canonical += fmt::format("{}:{}\n", name, CanonicalValue(value));
  }
  canonical += fmt::format("\n{}\n{}", SignedHeaderNames(sorted_headers), request.payload_sha256);
  const std::string to_sign = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, amz_date,
                                          ScopeText(scope, amz_date), Hex(Sha256(canonical)));
  Sha256Digest key = HmacSha256("AWS4" + credentials.secret_access_key, amz_date.substr(0, 8));
  for (const std::string_view part :
       {std::string_view(scope.region), std::string_view(scope.service),
        std::string_view("aws4_request")}) {
    key = HmacSha256(AsKey(key), part);
  }
  return Hex(HmacSha256(AsKey(key), to_sign));
}

}  // namespace

std::string CanonicalQuery(const NameValues& query) {
  NameValues encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query) {
    encoded.emplace_back(PercentEncode(name, Slash::kEncode), PercentEncode(value, Slash::kEncode));
  }
  std::ranges::sort(encoded);
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out.push_back('&');
    out.append(name).append("=").append(value);
  }
  return out;
}

NameValues SignHeaders(const SigV4Request& request, const Credentials& credentials,
                       const SigV4Scope& scope) {
  const std::string amz_date = FormatAmzDate(scope.time);
  NameValues added{{"x-amz-date", amz_date}, {"x-amz-content-sha256", request.payload_sha256}};
  if (!credentials.session_token.empty()) {
    added.emplace_back("x-amz-security-token", credentials.session_token);
  }
  NameValues all = request.headers;
  all.insert(all.end(), added.begin(), added.end());
  all = SortedHeaders(std::move(all));
  const std::string signature =
      Signature(request, CanonicalQuery(request.query), all, credentials, scope, amz_date);
  added.emplace_back("authorization",
                     fmt::format("{} Credential={}/{},SignedHeaders={},Signature={}", kAlgorithm,
                                 credentials.access_key_id, ScopeText(scope, amz_date),
                                 SignedHeaderNames(all), signature));
  return added;
}

std::string PresignQuery(const SigV4Request& request, const Credentials& credentials,
                         const SigV4Scope& scope, std::chrono::seconds expires) {
  const std::string amz_date = FormatAmzDate(scope.time);
  const NameValues sorted = SortedHeaders(request.headers);
  NameValues query = request.query;
  query.emplace_back("X-Amz-Algorithm", kAlgorithm);
  query.emplace_back("X-Amz-Credential",
                     fmt::format("{}/{}", credentials.access_key_id, ScopeText(scope, amz_date)));
  query.emplace_back("X-Amz-Date", amz_date);
  query.emplace_back("X-Amz-Expires", fmt::format("{}", expires.count()));
  query.emplace_back("X-Amz-SignedHeaders", SignedHeaderNames(sorted));
  if (!credentials.session_token.empty()) {
    query.emplace_back("X-Amz-Security-Token", credentials.session_token);
  }
  const std::string canonical = CanonicalQuery(query);
  SigV4Request unsigned_payload = request;
  unsigned_payload.payload_sha256 = "UNSIGNED-PAYLOAD";
  return canonical + "&X-Amz-Signature=" +
         Signature(unsigned_payload, canonical, sorted, credentials, scope, amz_date);
}

}  // namespace modelfs::fetch
