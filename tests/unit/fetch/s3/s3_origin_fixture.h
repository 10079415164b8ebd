#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/s3/s3_origin.h"
#include "tests/unit/fetch/fake_timer.h"
#include "tests/unit/fetch/fake_transport.h"
#include "tests/unit/fetch/string_sink.h"

namespace modelfs::test {

/// An S3Origin on a transport and a clock that the test drives.
class S3OriginFixture : public testing::Test {
 protected:
  static fetch::S3Origin::Options Defaults() {
    fetch::S3Origin::Options options;
    options.uri = fetch::S3Uri::Parse("s3://bkt/pre").value();
    options.endpoint = "http://h:1";
    options.credentials = std::make_shared<fetch::StaticCredentials>(fetch::Credentials{
        .access_key_id = "AKIA1", .secret_access_key = "secret", .session_token = ""});
    options.list_retry = {.max_attempts = 4};
    options.read_retry = {.max_attempts = 4};
    return options;
  }

  void Make(fetch::S3Origin::Options options = Defaults()) {
    options.transport = &transport_;
    options.timer = &timer_;
    options.budget = budget_;
    options.random = [] { return 0.5; };
    options.wall_clock = [this] { return wall_clock_; };
    origin_ = fetch::S3Origin::Create(std::move(options)).value();
  }

  /// Answers requests and lets waits pass until nothing is left.
  void Drive() {
    while (transport_.AnswerNext() || timer_.RunNext()) {
    }
  }

  template <class T>
  Done<T> Into(std::optional<Result<T>>& out) {
    return [&out](Result<T> result) {
      EXPECT_FALSE(out.has_value()) << "completed twice";
      out.emplace(std::move(result));
    };
  }

  Result<fetch::Listing> List(std::string directory = "") {
    std::optional<Result<fetch::Listing>> result;
    origin_->List(std::move(directory), Into(result));
    Drive();
    if (!result) return Fail(Errc::kTimeout, "never completed");
    return std::move(*result);
  }

  Result<void> Probe() {
    std::optional<Result<void>> result;
    origin_->Probe(std::chrono::seconds(8), Into(result));
    Drive();
    if (!result) return Fail(Errc::kTimeout, "never completed");
    return std::move(*result);
  }

  /// The text read, or the error.
  Result<std::string> Read(const fetch::ObjectId& object, ByteRange range) {
    std::optional<Result<void>> result;
    sink_ = std::make_shared<StringSink>();
    origin_->Read(object, range, sink_, Into(result));
    Drive();
    if (!result) return Fail(Errc::kTimeout, "never completed");
    if (!*result) return std::unexpected(result->error());
    return sink_->text;
  }

  fetch::ObjectId Object(std::uint64_t size, std::string tag = "\"e1\"") const {
    return origin_->Pin("d/",
                        {.name = "obj", .size_bytes = size, .modified = {}, .tag = std::move(tag)});
  }

  static FakeReply Page(std::string inside) {
    return {.headers = {{"content-type", "application/xml"}},
            .body = "<ListBucketResult>" + std::move(inside) + "</ListBucketResult>"};
  }
  static std::string Content(std::string_view key, int size = 1) {
    return fmt::format("<Contents><Key>{}</Key><Size>{}</Size><ETag>\"e\"</ETag></Contents>", key,
                       size);
  }
  static std::string Prefix(std::string_view key) {
    return fmt::format("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", key);
  }
  static FakeReply S3Failure(int status, std::string_view code, std::string_view more = "") {
    return {.status = status, .body = fmt::format("<Error><Code>{}</Code>{}</Error>", code, more)};
  }
  /// A 206 with `text` from `begin` on of an object of `total` bytes.
  static FakeReply Part(std::uint64_t begin, std::string text, std::uint64_t total,
                        std::string etag = "\"e1\"") {
    FakeReply reply{.status = 206};
    reply.headers = {
        {"content-range", fmt::format("bytes {}-{}/{}", begin, begin + text.size() - 1, total)},
        {"content-length", std::to_string(text.size())},
        {"etag", std::move(etag)}};
    reply.body = std::move(text);
    return reply;
  }
  static FakeReply Broken(FakeReply reply, std::size_t bytes) {
    reply.body.erase(bytes);
    reply.failure = Error{Errc::kTransient, "connection lost"};
    return reply;
  }

  std::vector<std::int64_t> Delays() const {
    std::vector<std::int64_t> out;
    for (const auto delay : timer_.delays()) out.push_back(delay.count());
    return out;
  }

  FakeTransport transport_;
  FakeTimer timer_;
  std::shared_ptr<fetch::RetryBudget> budget_ = std::make_shared<fetch::RetryBudget>();
  std::chrono::system_clock::time_point wall_clock_{std::chrono::seconds(1369353600)};
  std::shared_ptr<StringSink> sink_;
  std::shared_ptr<fetch::S3Origin> origin_;
};

}  // namespace modelfs::test
