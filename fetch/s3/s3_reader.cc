#include "fetch/s3/s3_reader.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "fetch/base/percent.h"
#include "fetch/base/size.h"
#include "fetch/http/content_range.h"
#include "fetch/http/object_pin.h"

namespace modelfs::fetch {
namespace {

// An answer that makes no sense is asked for again so often; a proxy may have had a bad moment.
constexpr int kNonsenseAnswers = 3;
// Where ranges are ignored, more than this is not read only to be dropped.
constexpr std::uint64_t kMaxSkipBytes = 64 * kMiB;

}  // namespace

S3Reader::S3Reader(ObjectId object, ByteRange range, std::shared_ptr<S3Versions> versions,
                   std::shared_ptr<BodySink> sink, Done<void> done)
    : object_(std::move(object)),
      range_(range),
      versions_(std::move(versions)),
      sink_(std::move(sink)),
      done_(std::move(done)) {}

std::string S3Reader::Describe() const {
  return fmt::format("GET {} [{},+{})", object_.Describe(), range_.begin, range_.size());
}

Error S3Reader::Nonsense(std::string_view why) const {
  return {Errc::kCorrupt, fmt::format("{}: {}", Describe(), why)};
}

Error S3Reader::Changed(std::string_view why) const {
  return ObjectChanged(object_, Describe(), why);
}

S3Request S3Reader::NextAttempt() {
  const ByteRange missing = Missing();
  skip_ = promised_ = received_ = 0;
  refusal_.reset();
  S3Request request;
  request.key = object_.key;
  AddPin(object_, request.headers);
  request.headers.emplace_back("range", fmt::format("bytes={}-{}", missing.begin, missing.end - 1));
  const auto version = versions_->Find(object_);
  by_version_ = version.has_value();
  if (version) request.query.emplace_back("versionId", *version);
  return request;
}

std::optional<Error> S3Reader::CheckPartial(const HttpResponse& head) {
  const auto got = StatedRange(head);
  if (!got) return Nonsense(got.error());
  if (auto changed = CheckPin(object_, head, Describe())) return changed;
  if (got->total_bytes != object_.size_bytes) {
    return Changed(fmt::format("the object has {} bytes now", got->total_bytes));
  }
  if (const auto why = NotAskedFor(*got, Missing())) return Nonsense(*why);
  promised_ = got->range.size();
  return std::nullopt;
}

std::optional<Error> S3Reader::CheckWhole(const HttpResponse& head) {
  const std::string_view length = head.Header("content-length");
  const bool pinned_by_etag = !head.Header("etag").empty() && !PinnedByTime(object_);
  if (auto changed = CheckPin(object_, head, Describe())) return changed;
  if (!length.empty() && length != std::to_string(object_.size_bytes)) {
    return Changed(fmt::format("the object has {} bytes now", Printable(length, 20)));
  }
  if (length.empty() && !pinned_by_etag)
    return Nonsense("200 without length and ETag, asked for a range");
  const ByteRange missing = Missing();
  if (missing.begin > kMaxSkipBytes)
    return Nonsense("the server ignores ranges (200, asked for 206)");
  if (missing.begin > 0) spdlog::warn("s3.range_ignored what=\"{}\"", Describe());
  skip_ = missing.begin;
  promised_ = missing.size();
  return std::nullopt;
}

bool S3Reader::OnHeaders(const HttpResponse& head) {
  if (head.status != 206 && head.status != 200) return false;
  refusal_ = head.status == 206 ? CheckPartial(head) : CheckWhole(head);
  if (!refusal_) versions_->Learn(object_, head.Header("x-amz-version-id"));
  return true;
}

bool S3Reader::OnBody(std::span<const std::byte> bytes) {
  if (refusal_) return false;
  if (skip_ > 0) {
    const std::uint64_t dropped = std::min<std::uint64_t>(skip_, bytes.size());
    skip_ -= dropped;
    bytes = bytes.subspan(dropped);
  }
  const std::uint64_t taken = std::min<std::uint64_t>(promised_ - received_, bytes.size());
  if (taken > 0) {
    sink_->Append(bytes.first(taken));
    received_ += taken;
    appended_ += taken;
    progress_ = true;
  }
  // What comes after the range: the rest of an answer that ignored it, or too much of a 206.
  return taken == bytes.size();
}

HttpVerdict S3Reader::Judge(const Result<HttpResponse>& outcome) {
  using enum HttpVerdict::Kind;
  if (refusal_) {
    HttpVerdict verdict{.kind = kFail, .error = *refusal_};
    if (refusal_->code == Errc::kCorrupt && ++nonsense_ < kNonsenseAnswers) {
      verdict.retry = RetryKind::kNonsense;
    }
    return verdict;
  }
  if (Missing().empty()) return {.kind = kSuccess};
  if (!outcome) return {};
  switch (outcome->status) {
    case 200:
    case 206:
      // A server may answer with less than was asked for; then the rest is asked for next.
      if (received_ > 0 && received_ == promised_) return {.kind = kContinue};
      return {.kind = kFail,
              .error = {Errc::kTransient, fmt::format("{}: the body ended after {} of {} bytes",
                                                      Describe(), received_, promised_)},
              .retry = RetryKind::kTransient};
    case 403:
      // s3:GetObject does not allow it, another permission does.
      if (!by_version_ || ParseS3Error(*outcome).code != "AccessDenied") return {};
      spdlog::info("s3.no_reads_by_version what=\"{}\"", Describe());
      versions_->Refuse();
      return {.kind = kContinue};
    case 404: {
      const S3Error s3 = ParseS3Error(*outcome);
      // Other codes are not about the object: NoSuchBucket, versitygw's for an unknown access key.
      if (!s3.code.empty() && s3.code != "NoSuchKey" && s3.code != "NoSuchVersion") return {};
      return {.kind = kFail, .error = Changed("the object is gone from the origin")};
    }
    case 412: return {.kind = kFail, .error = Changed("the object was replaced at the origin")};
    case 416: {
      const std::string_view total = outcome->Header("content-range");
      if (total.starts_with("bytes */") && total.substr(8) != std::to_string(object_.size_bytes)) {
        return {.kind = kFail,
                .error = Changed(
                    fmt::format("the object has {} bytes now", Printable(total.substr(8), 20)))};
      }
      return {.kind = kFail, .error = Nonsense("HTTP 416 for a range inside the object")};
    }
    default: break;
  }
  if (outcome->status >= 200 && outcome->status < 300) {
    return {.kind = kFail, .error = Nonsense(fmt::format("HTTP {} for a range", outcome->status))};
  }
  return {};
}

void S3Reader::Finish(Result<void> result) { std::exchange(done_, nullptr)(std::move(result)); }

}  // namespace modelfs::fetch
