#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "fetch/origin.h"
#include "fetch/s3/s3_client.h"
#include "fetch/s3/s3_versions.h"

namespace modelfs::fetch {

/// One ranged read of a pinned object. Goes on behind what was appended when an attempt breaks off;
/// nothing reaches the sink from an answer that is not provably these bytes of this object:
///
///     206  Content-Range begins where asked, total and ETag as pinned      appended
///     200  (range ignored) length or ETag as pinned     bytes before the range are dropped
///     else                                                             nothing appended
class S3Reader final : public S3Operation,
                       public BodyHandler,
                       public std::enable_shared_from_this<S3Reader> {
 public:
  /// Reads the version that `versions` knows, and tells it the one that answers.
  S3Reader(ObjectId object, ByteRange range, std::shared_ptr<S3Versions> versions,
           std::shared_ptr<BodySink> sink, Done<void> done);

  std::string Describe() const override;
  S3Request NextAttempt() override;
  std::shared_ptr<BodyHandler> Handler() override { return shared_from_this(); }
  HttpVerdict Judge(const Result<HttpResponse>& outcome) override;
  std::stop_token Abandoned() const override { return sink_->Stop(); }
  bool TakeProgress() override { return std::exchange(progress_, false); }
  void Finish(Result<void> result) override;

  bool OnHeaders(const HttpResponse& head) override;
  bool OnBody(std::span<const std::byte> bytes) override;
  bool IsUrgent() const override { return sink_->IsUrgent(); }

 private:
  ByteRange Missing() const { return {range_.begin + appended_, range_.end}; }
  std::optional<Error> CheckPartial(const HttpResponse& head);
  std::optional<Error> CheckWhole(const HttpResponse& head);
  Error Nonsense(std::string_view why) const;
  Error Changed(std::string_view why) const;

  const ObjectId object_;
  const ByteRange range_;
  const std::shared_ptr<S3Versions> versions_;
  const std::shared_ptr<BodySink> sink_;
  Done<void> done_;
  std::uint64_t appended_ = 0;  // Bytes of range_ that the sink has.
  bool progress_ = false;
  int nonsense_ = 0;

  // Of the attempt under way.
  bool by_version_ = false;
  std::uint64_t skip_ = 0;      // Bytes to drop before the range begins.
  std::uint64_t promised_ = 0;  // Bytes of the range that this answer is to bring.
  std::uint64_t received_ = 0;
  std::optional<Error> refusal_;  // Why its body is not taken.
};

}  // namespace modelfs::fetch
