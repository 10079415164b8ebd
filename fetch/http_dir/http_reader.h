#pragma once

#include <xxhash.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "fetch/base/handle.h"
#include "fetch/http_dir/http_client.h"
#include "fetch/http_dir/unranged_objects.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// One read of a pinned object of a web server. By ranges it goes on behind what was appended when
/// an attempt breaks off. A server that answers 200 to a range gives objects as a whole only: then
/// a read of a part fails with kUnranged, and one of the whole takes that answer as a stream:
///
///     attempt 1   |=========>  drops          appended, and hashed
///     attempt 2   |- - - - - -=========>      the overlap is hashed too and must be equal
class HttpReader final : public HttpDirOperation,
                         public BodyHandler,
                         public std::enable_shared_from_this<HttpReader> {
 public:
  HttpReader(std::shared_ptr<HttpClient> client, ObjectId object, ByteRange range,
             std::shared_ptr<UnrangedObjects> unranged, std::shared_ptr<BodySink> sink,
             Done<void> done);

  std::string Describe() const override;
  HttpAttempt NextAttempt() override;
  std::shared_ptr<BodyHandler> Handler() override { return shared_from_this(); }
  HttpVerdict Judge(const Result<HttpResponse>& outcome) override;
  std::stop_token Abandoned() const override { return sink_->Stop(); }
  bool TakeProgress() override { return std::exchange(progress_, false); }
  void Finish(Result<void> result) override;

  bool OnHeaders(const HttpResponse& head) override;
  bool OnBody(std::span<const std::byte> bytes) override;
  bool IsUrgent() const override { return sink_->IsUrgent(); }

 private:
  using Hash = Handle<XXH3_state_t, XXH3_freeState>;

  ByteRange Missing() const { return {range_.begin + appended_, range_.end}; }
  bool IsWhole() const { return range_ == ByteRange{0, object_.size_bytes}; }
  std::optional<Error> CheckPartial(const HttpResponse& head);
  std::optional<Error> CheckWhole(const HttpResponse& head);
  bool Overlap(std::span<const std::byte>& bytes);
  Error Nonsense(std::string_view why) const;
  Error Changed(std::string_view why) const;

  const std::shared_ptr<HttpClient> client_;
  const ObjectId object_;
  const ByteRange range_;
  const std::shared_ptr<UnrangedObjects> unranged_;
  const std::shared_ptr<BodySink> sink_;
  Done<void> done_;
  bool stream_;                 // Ask for the whole, without a range.
  std::uint64_t appended_ = 0;  // Bytes of range_ that the sink has.
  Hash hash_;                   // Of these, where the range is the whole.
  bool progress_ = false;
  int nonsense_ = 0;

  // Of the attempt under way.
  std::uint64_t overlap_left_ = 0;  // Bytes that the sink has already.
  Hash overlap_;
  std::uint64_t promised_ = 0;
  std::uint64_t received_ = 0;
  std::optional<Error> refusal_;
};

}  // namespace modelfs::fetch
