#include "fetch/http/object_reader.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "fetch/base/handle.h"
#include "fetch/base/percent.h"
#include "fetch/http/content_range.h"
#include "fetch/http/object_pin.h"

namespace modelfs::fetch {
namespace {

// An answer that makes no sense is asked for again so often; a proxy may have had a bad moment.
constexpr int kNonsenseAnswers = 3;

using HashState = Handle<XXH3_state_t, XXH3_freeState>;

}  // namespace

std::string EtagPin::Get() const {
  MutexLock lock(mutex_);
  return etag_;
}

bool EtagPin::Check(std::string_view etag) {
  if (etag.empty()) return true;
  MutexLock lock(mutex_);
  if (etag_.empty()) etag_ = etag;
  return SameEtag(etag_, etag);
}

class ObjectReader::Overlap {
 public:
  Overlap() : known_(XXH3_createState()), again_(XXH3_createState()) {
    XXH3_128bits_reset(known_.get());
  }
  void Append(std::span<const std::byte> bytes) {
    XXH3_128bits_update(known_.get(), bytes.data(), bytes.size());
  }
  void Restart() { XXH3_128bits_reset(again_.get()); }
  void Repeat(std::span<const std::byte> bytes) {
    XXH3_128bits_update(again_.get(), bytes.data(), bytes.size());
  }
  bool Equal() const {
    return XXH128_isEqual(XXH3_128bits_digest(known_.get()), XXH3_128bits_digest(again_.get())) !=
           0;
  }

 private:
  HashState known_;
  HashState again_;
};

ObjectReader::ObjectReader(Options options)
    : options_(std::move(options)),
      overlap_(options_.delivery == Delivery::kStream ? std::make_unique<Overlap>() : nullptr) {
  if (!options_.pin) options_.pin = std::make_shared<EtagPin>();
}

ObjectReader::~ObjectReader() = default;

std::string ObjectReader::Describe() const {
  return fmt::format("GET {} [{},+{})", options_.what, options_.range.begin, options_.range.size());
}

Error ObjectReader::Nonsense(std::string_view why) const {
  return {Errc::kCorrupt, fmt::format("{}: {}", Describe(), why)};
}

Error ObjectReader::Changed(std::string_view why) const {
  return {Errc::kChanged, fmt::format("{}: {}", Describe(), why)};
}

HttpRequest ObjectReader::NextAttempt() {
  const ByteRange missing = Missing();
  promised_ = received_ = repeated_ = 0;
  refusal_.reset();
  HttpRequest request = options_.request();
  if (options_.delivery == Delivery::kStream) {
    repeated_ = appended_;
    overlap_->Restart();
    return request;
  }
  request.headers.emplace_back("range", fmt::format("bytes={}-{}", missing.begin, missing.end - 1));
  // A weak tag is no good there (RFC 9110, 13.1.5).
  if (const std::string etag = options_.pin->Get(); etag.starts_with('"')) {
    request.headers.emplace_back("if-range", etag);
  }
  return request;
}

std::optional<Error> ObjectReader::CheckPartial(const HttpResponse& head) {
  if (options_.delivery == Delivery::kStream) return Nonsense("206, asked for no range");
  const auto got = StatedRange(head);
  if (!got) return Nonsense(got.error());
  if (got->total_bytes != options_.size_bytes) {
    return Changed(fmt::format("the object has {} bytes, its listing says {}", got->total_bytes,
                               options_.size_bytes));
  }
  if (!options_.pin->Check(head.Header("etag"))) {
    return Changed(fmt::format("the object was replaced at the origin: its ETag is now {}",
                               Printable(head.Header("etag"), 80)));
  }
  if (const auto why = NotAskedFor(*got, Missing())) return Nonsense(*why);
  promised_ = got->range.size();
  return std::nullopt;
}

std::optional<Error> ObjectReader::CheckWhole(const HttpResponse& head) {
  const std::string_view length = head.Header("content-length");
  const bool ranges = options_.delivery == Delivery::kRanges;
  // If-Range turns a range of a changed object into the whole of the new one.
  if (!options_.pin->Get().empty() && !options_.pin->Check(head.Header("etag"))) {
    return Changed(fmt::format("the object was replaced at the origin: its ETag is now {}",
                               Printable(head.Header("etag"), 80)));
  }
  if (!length.empty() && length != std::to_string(options_.size_bytes)) {
    return Changed(fmt::format("the object has {} bytes, its listing says {}",
                               Printable(length, 20), options_.size_bytes));
  }
  const bool whole_wanted = options_.range == ByteRange{0, options_.size_bytes};
  if (ranges && (!whole_wanted || appended_ > 0)) {
    return Error{appended_ > 0 ? Errc::kTransient : Errc::kUnranged,
                 fmt::format("{}: the server ignores ranges (200, asked for 206)", Describe())};
  }
  if (!options_.pin->Check(head.Header("etag"))) return Changed("the object was replaced");
  promised_ = options_.size_bytes - repeated_;
  return std::nullopt;
}

bool ObjectReader::OnHeaders(const HttpResponse& head) {
  if (head.status != 206 && head.status != 200) return false;
  refusal_ = head.status == 206 ? CheckPartial(head) : CheckWhole(head);
  return true;
}

// Drops what the sink has, and refuses the rest when it was not the same.
std::span<const std::byte> ObjectReader::CompareOverlap(std::span<const std::byte> bytes) {
  const std::uint64_t again = std::min<std::uint64_t>(repeated_, bytes.size());
  overlap_->Repeat(bytes.first(again));
  repeated_ -= again;
  if (repeated_ == 0 && !overlap_->Equal()) {
    refusal_ = Changed("the server sends other bytes than before at the start of the object");
  }
  return bytes.subspan(again);
}

bool ObjectReader::OnBody(std::span<const std::byte> bytes) {
  if (refusal_) return false;
  if (repeated_ > 0) {
    bytes = CompareOverlap(bytes);
    if (refusal_) return false;
  }
  const std::uint64_t taken = std::min<std::uint64_t>(promised_ - received_, bytes.size());
  if (taken > 0) {
    if (overlap_) overlap_->Append(bytes.first(taken));
    options_.sink->Append(bytes.first(taken));
    received_ += taken;
    appended_ += taken;
    progress_ = true;
  }
  if (taken == bytes.size()) return true;
  if (options_.delivery == Delivery::kStream) {
    refusal_ = Changed(
        fmt::format("the object has more than the {} bytes of its listing", options_.size_bytes));
  }
  return false;
}

HttpVerdict ObjectReader::Judge(const Result<HttpResponse>& outcome) {
  using enum HttpVerdict::Kind;
  if (refusal_) {
    HttpVerdict verdict{.kind = kFail, .error = *refusal_};
    const bool again = refusal_->code == Errc::kCorrupt || refusal_->code == Errc::kTransient;
    if (again && ++nonsense_ < kNonsenseAnswers) verdict.retry = RetryKind::kNonsense;
    return verdict;
  }
  if (Missing().empty()) return {.kind = kSuccess};
  if (!outcome) return {};
  if (outcome->status == 416) {
    return {.kind = kFail, .error = Changed("HTTP 416 for a range inside the object")};
  }
  if (outcome->status != 200 && outcome->status != 206) {
    if (options_.judge) return options_.judge(*outcome);
    return {.kind = kFail, .error = Nonsense(fmt::format("HTTP {}", outcome->status))};
  }
  // A server may answer with less than was asked for; then the rest is asked for next.
  if (outcome->status == 206 && received_ > 0 && received_ == promised_) {
    return {.kind = kContinue};
  }
  // Without a length a body ends where the server says. Twice at the same place: that is its end.
  if (std::exchange(ended_at_, appended_) == appended_) {
    return {.kind = kFail,
            .error = Changed(fmt::format("the object has {} bytes, its listing says {}",
                                         options_.range.begin + appended_, options_.size_bytes))};
  }
  return {.kind = kFail,
          .error = {Errc::kTransient, fmt::format("{}: the body ended after {} of {} bytes",
                                                  Describe(), received_, promised_)},
          .retry = RetryKind::kTransient};
}

void ObjectReader::Finish(Result<void> result) {
  std::exchange(options_.done, nullptr)(std::move(result));
}

}  // namespace modelfs::fetch
