#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fetch/mlflow/mlflow_registry.h"
#include "tests/unit/fetch/fake_timer.h"
#include "tests/unit/fetch/fake_transport.h"
#include "tests/unit/fetch/string_sink.h"

namespace modelfs::test {

/// An MlflowRegistry whose servers answer by URL, on a clock that the test drives.
class MlflowFixture : public testing::Test {
 protected:
  static constexpr const char* kServer = "http://mlflow:5000";
  using Answer = FakeTransport::Answer;

  void Make(fetch::MlflowSettings settings = {}) {
    if (settings.tracking_uri.empty()) settings.tracking_uri = kServer;
    registry_ = std::make_shared<fetch::MlflowRegistry>(fetch::MlflowRegistry::Options{
        .settings = std::move(settings),
        .http = {.transport = &transport_,
                 .timer = &timer_,
                 .budget = std::make_shared<fetch::RetryBudget>(),
                 .random = [] { return 0.5; }},
        .storage_ca_bundle = {},
        .open_storage = [this](const std::string& uri) { return OpenStorage(uri); }});
  }

  virtual Result<std::shared_ptr<fetch::Origin>> OpenStorage(const std::string&) {
    return Fail(Errc::kDenied, "no credentials");
  }

  /// What is answered to requests whose URL starts with `url`; the longest such URL counts. A path
  /// without host is the server's.
  void On(const std::string& url, Answer answer) {
    answers_[url.starts_with("/") ? kServer + url : url] = std::move(answer);
  }
  void On(const std::string& url, FakeReply reply) {
    On(url, [reply = std::move(reply)](const fetch::HttpRequest&) { return reply; });
  }
  void OnJson(const std::string& url, const std::string& json) {
    On(url, FakeReply{.status = 200, .body = json});
  }
  /// Serves `content`, by ranges.
  void OnRanges(const std::string& url, const std::string& content, const std::string& etag) {
    On(url, [content, etag](const fetch::HttpRequest& request) -> FakeReply {
      std::size_t first = 0;
      std::size_t last = 0;
      const std::string range = HeaderOf(request, "range");
      if (std::sscanf(range.c_str(), "bytes=%zu-%zu", &first, &last) != 2) {
        return {.status = 200, .headers = {{"etag", etag}}, .body = content};
      }
      return {
          .status = 206,
          .headers = {{"content-range", fmt::format("bytes {}-{}/{}", first, last, content.size())},
                      {"etag", etag}},
          .body = content.substr(first, last - first + 1)};
    });
  }

  /// Answers requests and lets waits pass until nothing is left.
  void Drive() {
    for (;;) {
      if (transport_.pending() > 0) {
        transport_.Then([this](const fetch::HttpRequest& request) { return Route(request); });
        transport_.AnswerNext();
      } else if (!timer_.RunNext()) {
        return;
      }
    }
  }

  FakeReply Route(const fetch::HttpRequest& request) {
    const Answer* best = nullptr;
    std::size_t length = 0;
    for (const auto& [url, answer] : answers_) {
      if (!request.url.starts_with(url) || url.size() < length) continue;
      best = &answer;
      length = url.size();
    }
    if (best != nullptr) return (*best)(request);
    return {.status = 404, .body = "<!doctype html><title>404 Not Found</title>"};
  }

  template <class T>
  Result<T> Await(const std::function<void(Done<T>)>& call) {
    std::optional<Result<T>> out;
    call([&out](Result<T> result) {
      EXPECT_FALSE(out.has_value()) << "completed twice";
      out.emplace(std::move(result));
    });
    Drive();
    if (!out) return Fail(Errc::kTimeout, "never completed");
    return std::move(*out);
  }

  Result<std::vector<fetch::RegisteredModel>> Models() {
    return Await<std::vector<fetch::RegisteredModel>>(
        [&](auto done) { registry_->ListModels(std::move(done)); });
  }
  Result<std::vector<fetch::ModelVersion>> Versions(const std::string& model) {
    return Await<std::vector<fetch::ModelVersion>>(
        [&](auto done) { registry_->ListVersions(model, std::move(done)); });
  }
  Result<fetch::VersionManifest> Manifest(const std::string& model = "iris",
                                          std::uint64_t number = 1) {
    return Await<fetch::VersionManifest>([&](auto done) {
      registry_->GetManifest(model, {.number = number, .created_ms = 1000}, std::move(done));
    });
  }
  /// Opens version 1 of iris, whose artifacts are `files` at mlflow-artifacts:/1/m.
  std::shared_ptr<fetch::Origin> OpenProxied(const std::string& files) {
    OnJson("/api/2.0/mlflow/model-versions/get-download-uri",
           R"({"artifact_uri": "mlflow-artifacts:/1/m"})");
    OnJson("/api/2.0/mlflow-artifacts/artifacts?path=1%2Fm", files);
    auto manifest = Manifest();
    if (!manifest) {
      ADD_FAILURE() << manifest.error().what;
      return nullptr;
    }
    return registry_->Open(std::make_shared<fetch::VersionManifest>(*std::move(manifest))).value();
  }
  /// The text read, or the error.
  Result<std::string> Read(fetch::Origin& origin, const fetch::ObjectId& object, ByteRange range) {
    auto sink = std::make_shared<StringSink>();
    auto read = Await<void>([&](auto done) { origin.Read(object, range, sink, std::move(done)); });
    if (!read) return std::unexpected(read.error());
    return sink->text;
  }
  static fetch::ObjectId Pinned(const fetch::Origin& origin, const std::string& name,
                                std::uint64_t size) {
    return origin.Pin("", {.name = name, .size_bytes = size});
  }
  std::size_t Requests(const std::string& part) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        transport_.requests(),
        [&](const auto& request) { return request.url.find(part) != std::string::npos; }));
  }

  FakeTransport transport_;
  FakeTimer timer_;
  std::map<std::string, Answer> answers_;
  std::shared_ptr<fetch::MlflowRegistry> registry_;
};

}  // namespace modelfs::test
