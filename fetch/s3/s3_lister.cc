#include "fetch/s3/s3_lister.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fetch/base/percent.h"
#include "fetch/http/object_pin.h"

namespace modelfs::fetch {
namespace {

constexpr int kUnreadablePages = 3;
constexpr std::size_t kNamedSkips = 5;
// What no directory of models comes near, but a server that never stops would pass.
constexpr std::size_t kMaxNames = 2'000'000;
// Pages in a row without a name. Keys that were deleted in a versioned bucket make a few.
constexpr int kMaxBarrenPages = 1'000;

}  // namespace

std::string S3Tag(const std::string& etag, std::chrono::system_clock::time_point modified) {
  if (!etag.empty()) return etag;
  return TimeTag(modified);
}

S3Lister::S3Lister(std::string bucket, std::string prefix, Done<Listing> done)
    : bucket_(std::move(bucket)), prefix_(std::move(prefix)), done_(std::move(done)) {}

std::string S3Lister::Describe() const {
  return fmt::format("LIST s3://{}/{}", bucket_, Printable(prefix_));
}

S3Request S3Lister::NextAttempt() {
  S3Request request;
  request.query = {
      {"list-type", "2"}, {"delimiter", "/"}, {"encoding-type", "url"}, {"max-keys", "1000"}};
  request.query.emplace_back("prefix", prefix_);
  if (!token_.empty()) request.query.emplace_back("continuation-token", token_);
  return request;
}

HttpVerdict S3Lister::Judge(const Result<HttpResponse>& outcome) {
  if (!outcome || outcome->status != 200) return {};
  Result<S3ListPage> page = ParseS3ListPage(outcome->body);
  if (page && page->truncated && page->next_token == token_) {
    page = Fail(Errc::kCorrupt, "answer to ListObjectsV2: the same page again");
  }
  if (!page) {
    HttpVerdict verdict{.kind = HttpVerdict::Kind::kFail, .error = std::move(page.error())};
    verdict.error.what = Describe() + ": " + verdict.error.what;
    if (++unreadable_pages_ < kUnreadablePages) verdict.retry = RetryKind::kNonsense;
    return verdict;
  }
  progress_ = true;
  unreadable_pages_ = 0;
  const bool truncated = page->truncated;
  token_ = page->next_token;
  const std::size_t names = entries_.size();
  Take(*page);
  barren_pages_ = entries_.size() > names ? 0 : barren_pages_ + 1;
  if (truncated && (barren_pages_ >= kMaxBarrenPages || entries_.size() > kMaxNames)) {
    return {
        .kind = HttpVerdict::Kind::kFail,
        .error = {Errc::kCorrupt, fmt::format("{}: no end after {} names and {} pages without any",
                                              Describe(), entries_.size(), barren_pages_)}};
  }
  return {.kind = truncated ? HttpVerdict::Kind::kContinue : HttpVerdict::Kind::kSuccess};
}

void S3Lister::Skip(std::string_view key) {
  ++skipped_count_;
  if (skipped_.size() < kNamedSkips) skipped_.push_back(Printable(key, 128));
}

void S3Lister::AddDirectory(std::string_view name) {
  if (!directories_.emplace(name).second) return;
  entries_.push_back({.name = std::string(name), .kind = Entry::Kind::kDirectory});
}

void S3Lister::Take(const S3ListPage& page) {
  const auto below = [this](std::string_view key) {
    return key.starts_with(prefix_) ? key.substr(prefix_.size()) : std::string_view();
  };
  for (const std::string& prefix : page.prefixes) {
    const std::string_view name = below(prefix);
    if (name.empty() || name.front() == '/') {
      Skip(prefix);
    } else {
      AddDirectory(name.substr(0, name.find('/')));
    }
  }
  for (const S3ListPage::Object& object : page.objects) {
    if (object.key == prefix_) continue;  // The directory's marker.
    const std::string_view name = below(object.key);
    if (name.empty() || name.front() == '/') {
      Skip(object.key);
    } else if (const std::size_t slash = name.find('/'); slash != std::string_view::npos) {
      AddDirectory(name.substr(0, slash));  // A server that does not know delimiters.
    } else {
      entries_.push_back({.name = std::string(name),
                          .kind = Entry::Kind::kFile,
                          .size_bytes = object.size_bytes,
                          .modified = object.modified,
                          .tag = S3Tag(object.etag, object.modified)});
    }
  }
}

void S3Lister::Finish(Result<void> result) {
  if (!result) return std::exchange(done_, nullptr)(std::unexpected(std::move(result.error())));
  if (skipped_count_ > 0) {
    spdlog::warn("s3.keys_skipped where=\"{}\" count={} why=\"empty path component\" keys=\"{}\"",
                 Describe(), skipped_count_, fmt::join(skipped_, "\", \""));
  }
  const auto order = [](const Entry& e) {
    return std::pair<std::string_view, Entry::Kind>(e.name, e.kind);
  };
  std::ranges::sort(entries_, {}, order);
  const auto repeated = std::ranges::unique(entries_, {}, order);
  entries_.erase(repeated.begin(), repeated.end());
  std::exchange(done_, nullptr)(Listing{std::move(entries_)});
}

}  // namespace modelfs::fetch
