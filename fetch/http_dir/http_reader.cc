#include "fetch/http_dir/http_reader.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fetch/base/percent.h"
#include "fetch/http/content_range.h"
#include "fetch/http/object_pin.h"

namespace modelfs::fetch {
namespace {

// An answer that makes no sense is asked for again so often; a proxy may have had a bad moment.
constexpr int kNonsenseAnswers = 3;

}  // namespace

HttpReader::HttpReader(std::shared_ptr<HttpClient> client, ObjectId object, ByteRange range,
                       std::shared_ptr<UnrangedObjects> unranged, std::shared_ptr<BodySink> sink,
                       Done<void> done)
    : client_(std::move(client)),
      object_(std::move(object)),
      range_(range),
      unranged_(std::move(unranged)),
      sink_(std::move(sink)),
      done_(std::move(done)),
      stream_(IsWhole() && unranged_->Has(object_.key)) {
  if (IsWhole()) {
    hash_.reset(XXH3_createState());
    XXH3_128bits_reset(hash_.get());
  }
}

std::string HttpReader::Describe() const {
  return fmt::format("GET {} [{},+{})", object_.Describe(), range_.begin, range_.size());
}

Error HttpReader::Nonsense(std::string_view why) const {
  return {Errc::kCorrupt, fmt::format("{}: {}", Describe(), why)};
}

Error HttpReader::Changed(std::string_view why) const {
  return ObjectChanged(object_, Describe(), why);
}

HttpAttempt HttpReader::NextAttempt() {
  promised_ = received_ = overlap_left_ = 0;
  refusal_.reset();
  HttpAttempt attempt{.key = object_.key, .headers = {}};
  AddPin(object_, attempt.headers);
  if (stream_) return attempt;
  const ByteRange missing = Missing();
  attempt.headers.emplace_back("range", fmt::format("bytes={}-{}", missing.begin, missing.end - 1));
  // For servers that do not know If-Match. Never with a date: within a minute of a change Apache
  // takes it for weak and answers 200.
  if (object_.tag.starts_with('"')) attempt.headers.emplace_back("if-range", object_.tag);
  return attempt;
}

std::optional<Error> HttpReader::CheckPartial(const HttpResponse& head) {
  if (stream_) return Nonsense("206, and no range was asked for");
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

std::optional<Error> HttpReader::CheckWhole(const HttpResponse& head) {
  if (auto changed = CheckPin(object_, head, Describe())) return changed;
  const std::string_view length = head.Header("content-length");
  if (!length.empty() && length != std::to_string(object_.size_bytes)) {
    return Changed(fmt::format("the object has {} bytes now", Printable(length, 20)));
  }
  if (!IsWhole()) {
    if (appended_ > 0) return Nonsense("the server ignores ranges, and did not before");
    unranged_->Add(object_.key);
    return Error{Errc::kUnranged,
                 fmt::format("{}: the server gives this object only as a whole", Describe())};
  }
  if (!stream_) {
    stream_ = true;
    unranged_->Add(object_.key);
  }
  overlap_left_ = appended_;
  if (overlap_left_ > 0) {
    overlap_.reset(XXH3_createState());
    XXH3_128bits_reset(overlap_.get());
  }
  promised_ = Missing().size();
  return std::nullopt;
}

bool HttpReader::OnHeaders(const HttpResponse& head) {
  if (head.status != 206 && head.status != 200) return false;
  refusal_ = head.status == 206 ? CheckPartial(head) : CheckWhole(head);
  return true;
}

bool HttpReader::Overlap(std::span<const std::byte>& bytes) {
  const auto again = std::min<std::uint64_t>(overlap_left_, bytes.size());
  XXH3_128bits_update(overlap_.get(), bytes.data(), again);
  bytes = bytes.subspan(again);
  overlap_left_ -= again;
  if (overlap_left_ > 0 ||
      XXH128_isEqual(XXH3_128bits_digest(overlap_.get()), XXH3_128bits_digest(hash_.get())) != 0) {
    return true;
  }
  refusal_ = Changed("the server gives other bytes than before the connection was lost");
  return false;
}

bool HttpReader::OnBody(std::span<const std::byte> bytes) {
  if (refusal_) return false;
  if (overlap_left_ > 0 && !Overlap(bytes)) return false;
  const std::uint64_t taken = std::min<std::uint64_t>(promised_ - received_, bytes.size());
  if (taken < bytes.size() && stream_) {
    refusal_ = Changed("the object is longer now");
    return false;
  }
  if (taken > 0) {
    sink_->Append(bytes.first(taken));
    if (hash_) XXH3_128bits_update(hash_.get(), bytes.data(), taken);
    received_ += taken;
    appended_ += taken;
    progress_ = true;
  }
  return taken == bytes.size();
}

HttpVerdict HttpReader::Judge(const Result<HttpResponse>& outcome) {
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
      if (!stream_ && received_ > 0 && received_ == promised_) return {.kind = kContinue};
      return {.kind = kFail,
              .error = {Errc::kTransient, fmt::format("{}: the body ended after {} of {} bytes",
                                                      Describe(), received_, promised_)},
              .retry = RetryKind::kTransient};
    case 404:
    case 410: return {.kind = kFail, .error = Changed("the object is gone from the server")};
    case 412: return {.kind = kFail, .error = Changed("the object was replaced at the server")};
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

void HttpReader::Finish(Result<void> result) { std::exchange(done_, nullptr)(std::move(result)); }

}  // namespace modelfs::fetch
