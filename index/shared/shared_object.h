#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/origin.h"
#include "index/shared/local_copy.h"
#include "index/shared/segment_fill.h"
#include "index/shared/segment_folder.h"
#include "index/shared/segment_state.h"
#include "index/shared/survey.h"

namespace modelfs::index::shared {

class SharedTier;

/// One object of the shared tier: where each range of it is to come from.
///
/// ```
///  Read ─► segment published ─────────────► its blocks, compared with their sums
///          ours ──────────────────────────► the origin, and a copy into the segment
///          somebody else fetches it ──────► wait for it; the origin when that takes too long
///          nobody has it ─► claim it ─► … ► the origin, when little of it was asked for
/// ```
/// Whatever goes wrong on the way, the origin is asked: no error of the directory is an error of a
/// read.
///
/// Threads: any; nothing waits. Split over shared_object.cc (states and waiting),
/// shared_object_survey.cc (what others do), shared_object_read.cc (where bytes come from) and
/// shared_object_claim.cc (undertaking a segment).
/// Lock order: `mutex_` comes after the locks of the cache and of its objects, and is a leaf but
/// for those of the tier's queue and health. No call to anybody else is made under it.
class SharedObject final : public std::enable_shared_from_this<SharedObject> {
 public:
  SharedObject(std::shared_ptr<SharedTier> tier, fetch::ObjectId id, std::weak_ptr<LocalCopy> copy);
  ~SharedObject();

  /// As fetch::Origin::Read, which it may use; also completes on threads of the tier. The origin is
  /// not kept alive: once it is gone, reads that wait end with kCancelled.
  void Read(const std::shared_ptr<fetch::Origin>& origin, ByteRange range,
            std::shared_ptr<fetch::BodySink> sink, Done<void> done) EXCLUDES(mutex_);

  /// Whether to fetch the first bytes of `wanted` ahead of time now; `here_bytes` of their segment
  /// are here already. If not, LocalCopy::GoOn is called when it is worth asking again, once Pump
  /// was called, with no lock held.
  bool MayFetch(ByteRange wanted, std::uint64_t here_bytes) EXCLUDES(mutex_);
  /// Where to begin among segments that lie together: 0 until we met another replica, then a number
  /// of our own.
  std::size_t Turn() const EXCLUDES(mutex_);
  /// The segment that `offset` lies in. A request should not go over its end.
  ByteRange SegmentAt(std::uint64_t offset) const EXCLUDES(mutex_);
  void Pump() EXCLUDES(mutex_);

  /// Ends what waits with kCancelled, gives up what was undertaken.
  void Close() EXCLUDES(mutex_);

  // For the tier.
  /// Something has changed for all objects.
  void Nudge() EXCLUDES(mutex_);
  void MarkUse() EXCLUDES(mutex_);

 private:
  using Clock = std::chrono::steady_clock;
  struct Request {
    std::weak_ptr<fetch::Origin> origin;
    ByteRange left;
    std::shared_ptr<fetch::BodySink> sink;
    Done<void> done;
    std::uint64_t direct_to = 0;                 ///< What lies before comes from the origin.
    std::uint64_t waits_in = ~std::uint64_t{0};  ///< The segment that it waits for.
    Clock::time_point hedge_at;                  ///< When it does not wait any longer.
    int failures = 0;                            ///< Of the shared directory, on its way.
  };
  using RequestPtr = std::shared_ptr<Request>;
  struct Segment {
    SegmentState state = SegmentState::kAbsent;
    std::uint64_t asked_bytes = 0;       ///< Of it, by anybody here.
    std::uint64_t unasked_bytes = 0;     ///< Undertaken, and not yet requested.
    std::optional<std::uint32_t> epoch;  ///< Of the highest claim that was seen.
    std::string holder;                  ///< Of it; "" where that is not known.
    bool suspect = false;                ///< The holder was silent for some time.
    bool told = false;                   ///< Somebody has the claim, and it does not show yet.
    Clock::time_point since;             ///< When it became ours or theirs.
    Clock::time_point claim_from{};      ///< Not before.
    std::shared_ptr<SegmentFill> fill;
    std::shared_ptr<OpenSegment> open;
    std::vector<RequestPtr> waiters;
  };
  /// What a read of a block gave.
  struct Block {
    std::shared_ptr<OpenSegment> segment;
    std::shared_ptr<std::vector<std::byte>> bytes;
    std::uint64_t offset = 0;  ///< Of the object.
  };
  /// What came of asking for a segment.
  struct Claimed {
    SegmentState state = SegmentState::kAbsent;
    std::uint32_t epoch = 0;
    std::unique_ptr<SegmentWriter> writer;
  };
  static constexpr std::chrono::milliseconds kFirstPoll{25};
  static constexpr std::chrono::milliseconds kLongestPoll{500};
  static constexpr std::chrono::milliseconds kList{1000};
  static constexpr std::chrono::milliseconds kAges{2000};
  /// A claim that does not show for so long was given up.
  static constexpr std::chrono::milliseconds kUnseen{4000};
  static constexpr std::chrono::milliseconds kClaimAgain{5000};
  static constexpr std::size_t kMostOpen = 16;
  /// A segment is undertaken when a sixteenth of it was asked for.
  static constexpr std::uint64_t kWorthwhile = 16;

  // shared_object.cc
  enum class Way : std::uint8_t { kShared, kOurs, kOrigin, kWait, kClaim, kCancelled };
  void Step(const RequestPtr& request) EXCLUDES(mutex_);
  enum class Which : std::uint8_t {
    kAll,
    kThatMay,  ///< Those whose segment is not asked for, nor fetched by somebody else.
  };
  Way Choose(const RequestPtr& request, std::uint64_t index, ByteRange part, Segment& segment)
      REQUIRES(mutex_);
  bool IsLittle(std::uint64_t bytes) const REQUIRES(mutex_);
  Way Wait(const RequestPtr& request, std::uint64_t index, Segment& segment) REQUIRES(mutex_);
  void Hedge(const RequestPtr& request, std::uint64_t index) EXCLUDES(mutex_);
  void Finish(const RequestPtr& request, Result<void> result);
  void Move(Segment& segment, SegmentState to) REQUIRES(mutex_);
  bool Ready() REQUIRES(mutex_);
  std::vector<RequestPtr> TakeWaiters(Which which) REQUIRES(mutex_);
  void StepAll(const std::vector<RequestPtr>& requests);
  void GoOn() EXCLUDES(mutex_);

  // shared_object_survey.cc
  void Poll() EXCLUDES(mutex_);
  void StartSurvey() EXCLUDES(mutex_);
  void Surveyed(const Result<Survey>& survey) EXCLUDES(mutex_);
  bool Apply(const Survey& survey) REQUIRES(mutex_);
  bool ApplyListing(const SegmentFolder::Listing& listing) REQUIRES(mutex_);

  // shared_object_read.cc
  void FromOrigin(const RequestPtr& request, ByteRange part,
                  const std::shared_ptr<SegmentFill>& fill);
  void FromShared(const RequestPtr& request, std::uint64_t index, ByteRange part) EXCLUDES(mutex_);
  static Result<Block> ReadBlock(SharedTier& tier, const SegmentFolder& folder,
                                 std::shared_ptr<OpenSegment> open, std::uint64_t index,
                                 std::uint64_t offset);
  void BlockRead(const RequestPtr& request, std::uint64_t index, ByteRange part,
                 Result<Block> block) EXCLUDES(mutex_);
  void BlockFailed(const RequestPtr& request, std::uint64_t index, ByteRange part,
                   const Error& error) EXCLUDES(mutex_);

  // shared_object_claim.cc
  bool MayClaim(const Segment& segment) const REQUIRES(mutex_);
  void BeginClaim(std::uint64_t index, Segment& segment) REQUIRES(mutex_);
  void Claim(std::uint64_t index) EXCLUDES(mutex_);
  static Result<Claimed> TryClaim(SharedTier& tier, const SegmentFolder& folder,
                                  std::uint64_t index, std::uint32_t epoch);
  void ClaimAnswered(std::uint64_t index, Result<Claimed> claimed) EXCLUDES(mutex_);
  void Undertake(std::uint64_t index, Claimed claimed) EXCLUDES(mutex_);
  void Filled(std::uint64_t index, bool published) EXCLUDES(mutex_);

  const std::shared_ptr<SharedTier> tier_;
  const fetch::ObjectId id_;
  const std::weak_ptr<LocalCopy> copy_;

  mutable Mutex mutex_;
  bool closed_ GUARDED_BY(mutex_) = false;
  std::shared_ptr<const SegmentFolder> folder_ GUARDED_BY(mutex_);  ///< Null: never answered.
  std::map<std::uint64_t, Segment> segments_ GUARDED_BY(mutex_);
  std::deque<std::uint64_t> open_ GUARDED_BY(mutex_);  ///< With an open file, oldest first.
  std::vector<std::uint64_t> claims_due_ GUARDED_BY(mutex_);
  bool known_ GUARDED_BY(mutex_) = false;       ///< A first survey is over.
  bool parked_ GUARDED_BY(mutex_) = false;      ///< MayFetch said no.
  bool surveying_ GUARDED_BY(mutex_) = false;   ///< One is under way.
  bool poll_armed_ GUARDED_BY(mutex_) = false;  ///< The timer is set.
  std::chrono::milliseconds poll_ GUARDED_BY(mutex_) = kFirstPoll;
  std::int64_t stamp_ GUARDED_BY(mutex_) = 0;
  Clock::time_point listed_ GUARDED_BY(mutex_);
  Clock::time_point ages_asked_ GUARDED_BY(mutex_);
  bool met_others_ GUARDED_BY(mutex_) = false;
  bool used_ GUARDED_BY(mutex_) = false;  ///< There is something of it there.
};

}  // namespace modelfs::index::shared
