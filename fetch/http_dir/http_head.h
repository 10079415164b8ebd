#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fetch/http_dir/http_client.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// What a server says of one file when asked for it alone.
struct HttpHeadAnswer {
  std::optional<std::uint64_t> size_bytes;
  std::chrono::system_clock::time_point modified{};
  std::string tag;        ///< Strong ETag, else TimeTag, else kUnpinned.
  bool unranged = false;  ///< It says that it knows no ranges.
};

HttpHeadAnswer ReadHead(const HttpResponse& head);

/// HEAD of one file.
class HttpHead final : public HttpDirOperation {
 public:
  HttpHead(std::shared_ptr<HttpClient> client, std::string key, Done<HttpHeadAnswer> done)
      : client_(std::move(client)), key_(std::move(key)), done_(std::move(done)) {}
  std::string Describe() const override { return client_->Describe("HEAD", key_); }
  HttpAttempt NextAttempt() override { return {.method = "HEAD", .key = key_, .headers = {}}; }
  HttpVerdict Judge(const Result<HttpResponse>& outcome) override;
  void Finish(Result<void> result) override;

 private:
  const std::shared_ptr<HttpClient> client_;
  const std::string key_;
  Done<HttpHeadAnswer> done_;
  HttpHeadAnswer answer_;
};

}  // namespace modelfs::fetch
