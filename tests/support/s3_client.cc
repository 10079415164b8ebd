#include "tests/support/s3_client.h"

#include <fmt/format.h>

#include "fetch/base/percent.h"
#include "fetch/base/sha256.h"
#include "fetch/s3/sigv4.h"

namespace modelfs::test {
namespace {

Result<void> Judge(const Result<HttpCall::Reply>& reply, std::string_view what) {
  if (!reply) return std::unexpected(reply.error());
  if (reply->status >= 200 && reply->status < 300) return {};
  const Errc code = reply->status == 403   ? Errc::kDenied
                    : reply->status == 404 ? Errc::kNotFound
                                           : Errc::kInvalid;
  return Fail(code, fmt::format("{}: HTTP {} {}", what, reply->status, reply->body));
}

}  // namespace

Result<HttpCall::Reply> S3Client::Send(const std::string& method, const std::string& path,
                                       std::string body, const Extra& extra) const {
  fetch::SigV4Request request;
  request.method = method;
  request.path = modelfs::PercentEncode(path, Slash::kKeep);
  request.query = extra.query;
  request.headers = extra.headers;
  request.headers.emplace_back("host", options_.url.substr(options_.url.find("//") + 2));
  request.payload_sha256 = Hex(Sha256(body));
  HttpCall call{.method = method,
                .url = options_.url + request.path,
                .headers = extra.headers,
                .body = std::move(body),
                .ca_pem = options_.ca_pem};
  if (!extra.query.empty()) call.url.append("?").append(fetch::CanonicalQuery(extra.query));
  if (!options_.credentials.access_key_id.empty()) {
    for (auto& header : fetch::SignHeaders(
             request, options_.credentials,
             {.region = options_.region, .time = std::chrono::system_clock::now()})) {
      call.headers.push_back(std::move(header));
    }
  }
  return call.Run();
}

Result<void> S3Client::MakeBucket(const std::string& bucket) const {
  return Judge(Send("PUT", "/" + bucket, ""), "make bucket " + bucket);
}

Result<void> S3Client::Put(const std::string& bucket, const std::string& key,
                           std::string bytes) const {
  return Judge(Send("PUT", fmt::format("/{}/{}", bucket, key), std::move(bytes)), "PUT " + key);
}

Result<void> S3Client::Remove(const std::string& bucket, const std::string& key) const {
  return Judge(Send("DELETE", fmt::format("/{}/{}", bucket, key), ""), "DELETE " + key);
}

}  // namespace modelfs::test
