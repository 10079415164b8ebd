#include "fetch/s3/s3_reader.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <charconv>

#include "fetch/base/percent.h"
#include "fetch/base/size.h"
#include "fetch/base/time_text.h"

namespace modelfs::fetch {
namespace {

constexpr std::string_view kModified = "modified=";
// An answer that makes no sense is asked for again so often; a proxy may have had a bad moment.
constexpr int kNonsenseAnswers = 3;
// Where ranges are ignored, more than this is not read only to be dropped.
constexpr std::uint64_t kMaxSkipBytes = 64 * kMiB;

bool TakeNumber(std::string_view& text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

std::string_view BareEtag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return etag;
}

}  // namespace

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  ContentRange out;
  if (!TakeNumber(text, first) || !text.starts_with('-')) return std::nullopt;
  text.remove_prefix(1);
  if (!TakeNumber(text, last) || !text.starts_with('/')) return std::nullopt;
  text.remove_prefix(1);
  if (!TakeNumber(text, out.total_bytes) || !text.empty()) return std::nullopt;
  if (last < first || last >= out.total_bytes) return std::nullopt;
  out.range = {first, last + 1};
  return out;
}

bool SameEtag(std::string_view a, std::string_view b) { return BareEtag(a) == BareEtag(b); }

S3Reader::S3Reader(ObjectId object, ByteRange range, std::shared_ptr<BodySink> sink,
                   Done<void> done)
    : object_(std::move(object)), range_(range), sink_(std::move(sink)), done_(std::move(done)) {}

std::string S3Reader::Describe() const {
  return fmt::format("GET {} [{},+{})", object_.Describe(), range_.begin, range_.size());
}

Error S3Reader::Nonsense(std::string_view why) const {
  return {Errc::kCorrupt, fmt::format("{}: {}", Describe(), why)};
}

Error S3Reader::Changed(std::string_view why) const {
  return {Errc::kChanged, fmt::format("{}: {}; it was {} bytes with tag {}", Describe(), why,
                                      object_.size_bytes, Printable(object_.tag, 80))};
}

S3Request S3Reader::NextAttempt() {
  const ByteRange missing = Missing();
  skip_ = promised_ = received_ = 0;
  refusal_.reset();
  S3Request request;
  request.key = object_.key;
  request.headers.emplace_back("range", fmt::format("bytes={}-{}", missing.begin, missing.end - 1));
  if (object_.tag.starts_with(kModified)) {
    std::string_view text = std::string_view(object_.tag).substr(kModified.size());
    std::uint64_t seconds = 0;
    if (TakeNumber(text, seconds)) {
      // One more: some servers compare with the fraction that this date cannot hold. The answer's
      // Last-Modified is compared exactly.
      request.headers.emplace_back(
          "if-unmodified-since",
          FormatHttpDate(std::chrono::system_clock::time_point(std::chrono::seconds(seconds + 1))));
    }
  } else if (!object_.tag.empty()) {
    const bool quoted = object_.tag.front() == '"' || object_.tag.starts_with("W/");
    request.headers.emplace_back("if-match",
                                 quoted ? object_.tag : fmt::format("\"{}\"", object_.tag));
  }
  return request;
}

std::optional<Error> S3Reader::CheckIdentity(const HttpResponse& head) const {
  const std::string_view etag = head.Header("etag");
  if (object_.tag.starts_with(kModified)) {
    const auto modified = ParseHttpDate(head.Header("last-modified"));
    if (modified) {
      const auto seconds = std::chrono::floor<std::chrono::seconds>(modified->time_since_epoch());
      if (object_.tag != fmt::format("{}{}", kModified, seconds.count())) {
        return Changed("the object was replaced at the origin");
      }
    }
  } else if (!etag.empty() && !SameEtag(etag, object_.tag)) {
    return Changed(fmt::format("the object was replaced at the origin: its ETag is now {}",
                               Printable(etag, 80)));
  }
  return std::nullopt;
}

std::optional<Error> S3Reader::CheckPartial(const HttpResponse& head) {
  const std::string_view text = head.Header("content-range");
  const std::optional<ContentRange> got = ParseContentRange(text);
  const ByteRange missing = Missing();
  if (!got) return Nonsense(fmt::format("206 with Content-Range '{}'", Printable(text, 80)));
  if (auto changed = CheckIdentity(head)) return changed;
  if (got->total_bytes != object_.size_bytes) {
    return Changed(fmt::format("the object has {} bytes now", got->total_bytes));
  }
  if (got->range.begin != missing.begin || got->range.end > missing.end) {
    return Nonsense(fmt::format("asked for bytes {}-{}, got Content-Range '{}'", missing.begin,
                                missing.end - 1, Printable(text, 80)));
  }
  promised_ = got->range.size();
  return std::nullopt;
}

std::optional<Error> S3Reader::CheckWhole(const HttpResponse& head) {
  const std::string_view length = head.Header("content-length");
  const bool pinned_by_etag = !head.Header("etag").empty() && !object_.tag.starts_with(kModified);
  if (auto changed = CheckIdentity(head)) return changed;
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

S3Verdict S3Reader::Judge(const Result<HttpResponse>& outcome) {
  using enum S3Verdict::Kind;
  if (refusal_) {
    S3Verdict verdict{.kind = kFail, .error = *refusal_};
    if (refusal_->code == Errc::kCorrupt && ++nonsense_ < kNonsenseAnswers) {
      verdict.retry = RetryKind::kTransient;
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
