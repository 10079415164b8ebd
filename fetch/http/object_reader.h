#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "fetch/base/mutex.h"
#include "fetch/http/retrying_client.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// The ETag that an object was first seen with, shared by all its reads: what comes later with
/// another one is another object. Threads: any.
class EtagPin {
 public:
  /// "" before the first answer.
  std::string Get() const EXCLUDES(mutex_);
  /// True when `etag` is the pinned one, becomes it, or is empty.
  bool Check(std::string_view etag) EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::string etag_ GUARDED_BY(mutex_);
};

/// One read of an object of known size over plain HTTP, by a range or as the whole stream. Goes on
/// behind what was appended when an attempt breaks off:
///
///     kRanges  206  Content-Range begins where asked, total and ETag as pinned    appended
///              200  never seen a range and the whole object asked for             appended
///              200  else                                                          kUnranged,
///              kChanged
///     kStream  200  from byte 0; after a drop again, what is known already is compared and dropped
///
/// Nothing reaches the sink from an answer that is not provably these bytes.
class ObjectReader final : public RequestOperation,
                           public BodyHandler,
                           public std::enable_shared_from_this<ObjectReader> {
 public:
  struct Options {
    std::string what;              ///< "http://host/a.bin", for messages.
    std::uint64_t size_bytes = 0;  ///< Of the whole object; an answer of another length is refused.
    ByteRange range;
    Delivery delivery = Delivery::kRanges;
    std::function<HttpRequest()> request;  ///< A new one per attempt, without Range.
    /// The error of a status that is neither 200, 206, 416; nullopt: by the status alone.
    std::function<HttpVerdict(const HttpResponse&)> judge;
    std::shared_ptr<EtagPin> pin;
    std::shared_ptr<BodySink> sink;
    Done<void> done;
  };
  explicit ObjectReader(Options options);
  ~ObjectReader() override;

  std::string Describe() const override;
  HttpRequest NextAttempt() override;
  std::shared_ptr<BodyHandler> Handler() override { return shared_from_this(); }
  HttpVerdict Judge(const Result<HttpResponse>& outcome) override;
  std::stop_token Abandoned() const override { return options_.sink->Stop(); }
  bool TakeProgress() override { return std::exchange(progress_, false); }
  void Finish(Result<void> result) override;

  bool OnHeaders(const HttpResponse& head) override;
  bool OnBody(std::span<const std::byte> bytes) override;
  bool IsUrgent() const override { return options_.sink->IsUrgent(); }

 private:
  class Overlap;  // Compares what a restarted stream repeats.
  ByteRange Missing() const { return {options_.range.begin + appended_, options_.range.end}; }
  std::optional<Error> CheckPartial(const HttpResponse& head);
  std::optional<Error> CheckWhole(const HttpResponse& head);
  std::span<const std::byte> CompareOverlap(std::span<const std::byte> bytes);
  Error Nonsense(std::string_view why) const;
  Error Changed(std::string_view why) const;

  Options options_;
  const std::unique_ptr<Overlap> overlap_;
  std::uint64_t appended_ = 0;  // Bytes of the range that the sink has.
  bool progress_ = false;
  int nonsense_ = 0;
  std::optional<std::uint64_t> ended_at_;  // Where an orderly body last ended too early.

  // Of the attempt under way.
  std::uint64_t repeated_ = 0;  // Of a stream: bytes at its start that the sink has.
  std::uint64_t promised_ = 0;  // Bytes of the range that this answer is to bring.
  std::uint64_t received_ = 0;
  std::optional<Error> refusal_;  // Why its body is not taken.
};

}  // namespace modelfs::fetch
