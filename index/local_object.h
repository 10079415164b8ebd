#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "fetch/base/mutex.h"
#include "index/access_profile.h"
#include "index/cache.h"
#include "index/chunk_map.h"
#include "index/core.h"
#include "index/flight.h"
#include "index/layout/layout.h"
#include "index/origin_sums.h"
#include "index/read_ahead.h"
#include "index/read_op.h"
#include "index/shared/local_copy.h"

namespace modelfs::index {

class LayoutReader;
namespace shared {
class SharedObject;
}

/// One object of the local tier: routes reads, starts flights, stores what arrives.
///
/// Threads: any. One mutex guards chunk states, loads and wishes; no callback, copy, hash, I/O or
/// request happens under it: what is to be done is gathered in Actions and run after.
/// Lifetime: kept alive by whoever holds it, by its flights and by disk operations in progress.
/// Split over local_object.cc (life), _read.cc (reads and checks), _plan.cc and
/// _layout.cc (what will be read), _ahead.cc (what others want of it),
/// _fetch.cc (wishes and flights),
/// _stream.cc (objects that come as a whole), _store.cc (files), _sums.cc (the origin's sums),
/// _seal.cc (files for the kernel), _shared.cc (beside the shared tier) and _evict.cc (recency,
/// eviction).
class LocalObject final : public CachedObject,
                          public Prefetcher,
                          public shared::LocalCopy,
                          public std::enable_shared_from_this<LocalObject> {
 public:
  LocalObject(std::shared_ptr<Core> core, fetch::ObjectId id, std::string digest);
  ~LocalObject() override;

  // CachedObject
  const fetch::ObjectId& id() const override { return id_; }
  void Read(std::uint64_t offset, std::span<std::byte> dst, Done<std::size_t> done) override;
  void Borrow(std::uint64_t offset, std::span<std::byte> dst,
              Done<std::span<const std::byte>> done) override EXCLUDES(mutex_);
  std::optional<Lent> TryBorrowNow(std::uint64_t offset, std::size_t size) override
      EXCLUDES(mutex_);
  std::optional<std::size_t> TryReadNow(std::uint64_t offset, std::span<std::byte> dst) override;
  void Want(ByteRange range, Priority priority) override;
  void FetchAll(Priority priority, Done<void> done) override;
  ObjectStatus Status() const override;
  void WhenTaken(std::move_only_function<void()> action) override EXCLUDES(mutex_);
  bool WantAhead(std::uint64_t more_bytes, Ahead ahead) override EXCLUDES(mutex_);
  void Siblings(std::move_only_function<void(std::vector<std::string>)> done) override;
  void WhenLoaded(std::move_only_function<void()> action) override EXCLUDES(mutex_);
  void WantSealed() override EXCLUDES(mutex_);
  Result<Fd> OpenSealed() override EXCLUDES(mutex_);
  bool IsTrusted() const override EXCLUDES(mutex_);

  // For the cache.
  /// Reads the map; runs what queued behind that. Once, on the `open` thread.
  void Load() EXCLUDES(mutex_);
  /// Makes `origin` the one to fetch from; an earlier "changed" verdict is forgotten.
  void SetOrigin(std::shared_ptr<fetch::Origin> origin) EXCLUDES(mutex_);
  /// Fails all who wait with kCancelled; what has arrived whole still goes to disk.
  void Shutdown() EXCLUDES(mutex_);
  /// Notes in the index that nothing is being written. Requires: all disk operations are over.
  void MarkClean() EXCLUDES(mutex_);
  const std::string& digest() const { return digest_; }
  /// What others hold. As long as they do the object is in use.
  std::shared_ptr<CachedObject> Hold() EXCLUDES(mutex_);
  bool InUse() const EXCLUDES(mutex_);

  // For the evictor, on its thread.
  enum class Eviction : std::uint8_t {
    kGone,   ///< Its files are.
    kInUse,  ///< Somebody holds it.
    kBusy,   ///< Something is still being read or written.
    kFailed  ///< The disk would not; it was noted.
  };
  /// Removes the files. `bytes`: what that gave back. Waits a little for what is under way if
  /// `patience` lets it. Requires: not pinned.
  Eviction EvictWhole(std::uint64_t& bytes, std::chrono::milliseconds patience = {})
      EXCLUDES(mutex_);
  /// Punches those of `chunks` (ascending) that nobody is reading. Returns the bytes given back.
  std::uint64_t EvictChunks(const std::vector<std::uint64_t>& chunks) EXCLUDES(mutex_);
  /// Calls `each` with chunks that could go and their last use; none while somebody waits for the
  /// whole object.
  void ForEachEvictable(const std::function<void(std::uint64_t chunk, std::uint32_t when)>& each)
      const EXCLUDES(mutex_);

  // For the verifier.
  const ChunkMap& chunks() const { return chunks_; }
  /// Waits until Load is over. Not on the `open` thread.
  void AwaitLoaded() EXCLUDES(mutex_);
  std::optional<std::uint64_t> ExpectedHash(std::uint64_t chunk) const EXCLUDES(mutex_);
  /// As ExpectedHash; the chunk stays in the file until EndRead.
  std::optional<std::uint64_t> BeginRead(std::uint64_t chunk) EXCLUDES(mutex_);
  void EndRead(std::uint64_t chunk) EXCLUDES(mutex_);
  /// Waits until nothing is under way. Not on a thread that completions run on.
  void AwaitQuiet(std::chrono::milliseconds limit) EXCLUDES(mutex_);
  bool loaded() const { return loaded_.load(std::memory_order_acquire); }
  int data_fd() const { return data_fd_.load(std::memory_order_acquire); }
  /// Takes a chunk whose bytes on disk are wrong out of use.
  void ReportBad(std::uint64_t chunk) EXCLUDES(mutex_);
  /// All chunks were read back and found equal.
  void MarkVerified() EXCLUDES(mutex_);

  // Prefetcher
  Outcome StartPrefetch(Priority priority, std::uint64_t& bytes) override;

  // LocalCopy
  void Fetch(ByteRange range) override;
  bool Holds(ByteRange range) const override EXCLUDES(mutex_);
  void ReadHere(std::uint64_t offset, std::span<std::byte> dst, Done<std::size_t> done) override;
  void GoOn() override EXCLUDES(mutex_);

  // For Flight and StreamFlight, on the origin's thread.
  /// As Origin::Read, past the shared tier where there is one.
  void ReadFromTiers(const std::shared_ptr<fetch::Origin>& origin, ByteRange range,
                     std::shared_ptr<fetch::BodySink> sink, Done<void> done);
  bool IsShared() const { return shared_ != nullptr; }
  Core& core() const { return *core_; }
  std::shared_ptr<fetch::Origin> origin() const EXCLUDES(mutex_);
  /// Where the last of `loads` ends that somebody waits for; 0: nobody does.
  std::uint64_t WaitedForUntil(const std::vector<std::shared_ptr<ChunkLoad>>& loads) const
      EXCLUDES(mutex_);
  /// Gives `load` its buffer. False when the bytes are not wanted any more.
  bool Supply(ChunkLoad& load, Reservation& reservation) EXCLUDES(mutex_);
  /// The first `filled` bytes of the buffer are there.
  void Arrived(const std::shared_ptr<ChunkLoad>& load, std::uint64_t filled) EXCLUDES(mutex_);
  /// The chunk is full and goes to disk.
  void Complete(std::shared_ptr<ChunkLoad> load, std::uint64_t hash) EXCLUDES(mutex_);
  /// The request is over; loads that are not full are absent again.
  void Landed(const std::vector<std::shared_ptr<ChunkLoad>>& loads, const Result<void>& result)
      EXCLUDES(mutex_);
  /// The load that the stream is to fill now; null: it passes over this chunk.
  std::shared_ptr<ChunkLoad> StreamReached(std::uint64_t chunk) EXCLUDES(mutex_);
  /// False when the bytes are not wanted any more.
  bool SupplyStream(ChunkLoad& load, Buffer buffer, std::shared_ptr<StreamWindow> window)
      EXCLUDES(mutex_);
  void StreamPassed(const std::shared_ptr<ChunkLoad>& load) EXCLUDES(mutex_);
  void StreamLanded(const Result<void>& result) EXCLUDES(mutex_);

 private:
  /// Chunks [next, end) that someone will want.
  struct Wish {
    std::uint64_t owner = 0;  ///< A read-ahead cursor, kPlanOwner; 0: nobody in particular.
    std::uint64_t next = 0;
    std::uint64_t end = 0;
    std::shared_ptr<Ahead> ahead = nullptr;  ///< Null: wanted as long as it stands here.
  };
  enum class FilesState : std::uint8_t {
    kIdle,       ///< Not ready for writing; perhaps no files yet.
    kPreparing,  ///< Files are being made, the mark is under way.
    kReady,      ///< Chunks may be written.
  };
  /// How far the comparison with the origin's sums is.
  enum class SumsState : std::uint8_t {
    kUnknown,    ///< Not asked what the origin publishes.
    kAsking,     ///< Its answer is awaited.
    kKnown,      ///< It is known; compared when the object is whole.
    kComparing,  ///< The `sums` thread has it.
    kCompared,   ///< With what result, `verified_` and `corrupt_` tell.
  };
  using Loads = std::vector<std::shared_ptr<ChunkLoad>>;
  static constexpr std::uint64_t kPlanOwner = ~std::uint64_t{0};
  static constexpr std::chrono::seconds kStoreRetry{1};
  static constexpr std::chrono::seconds kBadSpotRetry{3};
  /// A reader that goes through chunks of an earlier life finds so many already being checked.
  static constexpr std::uint64_t kCheckAhead = 8;

  // local_object_read.cc
  enum class Reader : std::uint8_t { kOther, kOurselves };
  void Answer(Reader reader, ReadOp::Lending lending, std::uint64_t offset,
              std::span<std::byte> dst, Done<std::span<const std::byte>> done) EXCLUDES(mutex_);
  void Begin(Reader reader, const std::shared_ptr<ReadOp>& op, std::uint64_t offset,
             Actions& actions) REQUIRES(mutex_);
  void NoteHit(std::uint64_t offset, std::size_t size) EXCLUDES(mutex_);
  void ReadAs(Reader reader, std::uint64_t offset, std::span<std::byte> dst,
              Done<std::size_t> done);
  void Route(const std::vector<ReadPiece>& pieces, Actions& actions) REQUIRES(mutex_);
  bool RoutePresent(const ReadPiece& piece, Actions& actions) REQUIRES(mutex_);
  void AddCheck(std::uint64_t chunk, Actions& actions) REQUIRES(mutex_);
  void RouteLoad(const ReadPiece& piece, Actions& actions) REQUIRES(mutex_);
  std::vector<ReadPiece> Split(const std::shared_ptr<ReadOp>& op, std::uint64_t offset,
                               std::span<std::byte> dst) const;
  void ReadFromDisk(std::vector<ReadPiece> run);
  void EndReads(const std::vector<ReadPiece>& run) EXCLUDES(mutex_);
  void StartCheck(std::uint64_t chunk, Reservation reservation);
  void FinishCheck(std::uint64_t chunk, const std::byte* data, bool sound);
  void Quarantine(std::uint64_t chunk, std::vector<ReadPiece> pieces);
  void Quarantined(std::uint64_t chunk, const Result<void>& erased);

  // local_object_plan.cc
  std::optional<AccessProfile> FindProfile() const;
  void NoteRead(ByteRange read, Actions& actions) REQUIRES(mutex_);
  void WishWhole(Actions& actions) REQUIRES(mutex_);
  void StartPlan(Actions& actions) REQUIRES(mutex_);
  bool FollowsProfile(ByteRange read) REQUIRES(mutex_);
  void ForgetWishes() REQUIRES(mutex_);
  void LetGo() EXCLUDES(mutex_);
  void SaveProfile(Actions& actions) REQUIRES(mutex_);

  // local_object_layout.cc
  void StartLayout(Actions& actions) REQUIRES(mutex_);
  void OnPlanThread(std::move_only_function<void()> task);
  /// Nullopt: its structure is not understood, or could not be read.
  using LayoutDone = std::move_only_function<void(std::optional<Layout>)>;
  void FollowLayout(std::shared_ptr<LayoutReader> reader, LayoutStep step, LayoutDone done)
      EXCLUDES(mutex_);
  void LayoutKnown(Layout layout) EXCLUDES(mutex_);
  void WishByLayout(Actions& actions) REQUIRES(mutex_);

  // local_object_ahead.cc
  void NoteTaken(ByteRange read, Actions& actions) REQUIRES(mutex_);

  // local_object_fetch.cc
  void AddDemand(const std::vector<std::uint64_t>& absent, Actions& actions) REQUIRES(mutex_);
  std::shared_ptr<Flight> MakeFlight(Flight::SentBy sent_by, Priority priority, std::uint64_t first,
                                     std::uint64_t end) REQUIRES(mutex_);
  void AddWish(Priority priority, Wish wish) REQUIRES(mutex_);
  void WishForAll(std::uint64_t owner, Actions& actions) REQUIRES(mutex_);
  void WakeLoader(Priority priority, Actions& actions) REQUIRES(mutex_);
  /// What is left of a wish.
  enum class Outlook : std::uint8_t {
    kSome,     ///< Chunks to be fetched now.
    kNothing,  ///< It is fulfilled.
    kLater,    ///< What the shared tier will have soon; GoOn tells.
  };
  Wish* NextWish(Priority priority, std::uint64_t most, std::uint64_t& first, std::uint64_t& end,
                 Actions& actions) REQUIRES(mutex_);
  Outlook NextRun(Wish& wish, std::uint64_t most, std::uint64_t& first, std::uint64_t& end)
      REQUIRES(mutex_);
  void NoteFetch(const Result<void>& result, Actions& actions) REQUIRES(mutex_);
  void SettleWhole(const Result<void>& last, Actions& actions) REQUIRES(mutex_);
  void SettleWholeUnchecked(Actions& actions) REQUIRES(mutex_);
  bool StoreBroken() const REQUIRES(mutex_) {
    return std::chrono::steady_clock::now() < store_broken_until_;
  }

  // local_object_shared.cc
  Outlook NextSharedRun(Wish& wish, std::uint64_t most, std::uint64_t& first, std::uint64_t& end)
      REQUIRES(mutex_);
  std::uint64_t EndOfSegment(std::uint64_t chunk) const REQUIRES(mutex_);
  bool MayFetchAhead(std::uint64_t chunk, std::uint64_t wish_end) REQUIRES(mutex_);

  // local_object_stream.cc
  void EnsureStream(Actions& actions) REQUIRES(mutex_);
  void TurnToStream(const Loads& loads, Actions& actions) REQUIRES(mutex_);

  // local_object_store.cc
  void Store(std::shared_ptr<ChunkLoad> load) EXCLUDES(mutex_);
  bool IsBadSpot(std::uint64_t chunk) const EXCLUDES(mutex_);
  void Suspect(std::uint64_t chunk) REQUIRES(mutex_);
  void StoreInRoom(std::shared_ptr<ChunkLoad> load) EXCLUDES(mutex_);
  void PrepareFiles() EXCLUDES(mutex_);
  void FilesReady(const Result<void>& made) EXCLUDES(mutex_);
  void WriteData(const std::shared_ptr<ChunkLoad>& load);
  void WriteRecord(const std::shared_ptr<ChunkLoad>& load);
  void Stored(const std::shared_ptr<ChunkLoad>& load);
  void NotStored(const std::shared_ptr<ChunkLoad>& load, const Error& error);
  void NotKept(const std::shared_ptr<ChunkLoad>& load, const Error& error);
  void Recount(SpaceReservation written = {}) EXCLUDES(counting_);

  // local_object_sums.cc
  void CheckSums(Actions& actions) REQUIRES(mutex_);
  void SumsKnown(Result<fetch::PublishedChecksums> published) EXCLUDES(mutex_);
  void StartComparing(Actions& actions) REQUIRES(mutex_);
  void Compare() EXCLUDES(mutex_);
  void Compared(const OriginSums::Outcome& outcome, std::uint64_t epoch) EXCLUDES(mutex_);
  bool ReadBack(std::uint64_t chunk, std::vector<std::byte>& out) EXCLUDES(mutex_);
  void DropWrong(std::vector<std::uint64_t> bad) EXCLUDES(mutex_);

  // local_object_seal.cc
  void MaybeSeal(Actions& actions) REQUIRES(mutex_);
  void SealFiles() EXCLUDES(mutex_);
  void Sealed(bool good) EXCLUDES(mutex_);
  void Break(std::vector<ReadPiece> pieces, Actions& actions) REQUIRES(mutex_);
  void Replace() EXCLUDES(mutex_);
  void Emptied() REQUIRES(mutex_);

  // local_object_evict.cc
  void Lost() REQUIRES(mutex_);
  void NoteUse() EXCLUDES(mutex_);
  bool Idle() const REQUIRES(mutex_);
  bool AwaitIdle(std::chrono::milliseconds patience) REQUIRES(mutex_);
  bool Strike(const std::vector<std::uint64_t>& chunks);
  void Account() REQUIRES(mutex_);

  const std::shared_ptr<Core> core_;
  const fetch::ObjectId id_;
  const std::string digest_;
  ChunkMap chunks_;
  std::atomic<bool> loaded_{false};
  std::atomic<int> data_fd_{-1};
  std::atomic<bool> direct_broken_{false};
  std::atomic<std::uint32_t> sum_kinds_{ChunkSums::kAll};  ///< What is worth summing.
  std::atomic<bool> stop_sealing_{false};                  ///< It is to be removed instead.
  std::atomic<bool> recording_{false};                     ///< There is a recorder_.
  std::atomic<int> mismatches_{0};                         ///< With the origin's sums.
  std::atomic<std::uint32_t> writes_{0};     ///< Chunks with room that are not counted.
  std::atomic<std::uint32_t> noted_use_{0};  ///< Ticks, when the cache was told last.
  std::atomic<std::int64_t> touched_{0};     ///< Seconds, when the index was told last.
  /// Goes up after chunks were taken out of use and before they are punched: who read from the file
  /// without the lock looks whether it has changed meanwhile.
  std::atomic<std::uint64_t> punches_{0};
  std::atomic<bool> counted_{
      true};        ///< Whether the blocks could be counted when they changed last.
  Mutex counting_;  ///< Leaf; keeps one count of blocks from overtaking another.

  /// Lock order: object, then its shared object, then the leaves (pool, loader, index queue, task
  /// thread, disk queue).
  mutable Mutex mutex_;
  CondVar loaded_condition_;  ///< Also when something under way is over.
  std::weak_ptr<CachedObject> outside_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
  std::shared_ptr<fetch::Origin> origin_ GUARDED_BY(mutex_);
  std::vector<std::move_only_function<void()>> queued_ GUARDED_BY(mutex_);  ///< Until loaded.
  std::unordered_map<std::uint64_t, std::shared_ptr<ChunkLoad>> loads_ GUARDED_BY(mutex_);
  /// Chunks whose bytes on disk are being checked or struck out, and who waits for that.
  std::unordered_map<std::uint64_t, std::vector<ReadPiece>> checks_ GUARDED_BY(mutex_);
  struct Mismatches {
    int mismatches = 0;  ///< So far.
    std::chrono::steady_clock::time_point last;
  };
  std::unordered_map<std::uint64_t, Mismatches> suspects_ GUARDED_BY(mutex_);
  std::array<std::vector<Wish>, 4> wishes_ GUARDED_BY(mutex_);
  std::size_t turn_ GUARDED_BY(mutex_) = 0;
  ReadAhead read_ahead_ GUARDED_BY(mutex_);
  bool cold_ GUARDED_BY(mutex_) = false;  ///< The next read begins a load, or goes on with one.
  std::optional<AccessProfile> profile_ GUARDED_BY(mutex_);       ///< Of a load before.
  std::unique_ptr<ProfileRecorder> recorder_ GUARDED_BY(mutex_);  ///< Of this load.
  std::deque<Wish> plan_ GUARDED_BY(mutex_);      ///< What is left of the profile, in its order.
  std::vector<bool> planned_ GUARDED_BY(mutex_);  ///< By chunk; empty: no profile is followed.
  bool layout_tried_ GUARDED_BY(mutex_) = false;
  bool layout_wished_ GUARDED_BY(mutex_) = false;    ///< All of it, for these readers.
  std::vector<ByteRange> parts_ GUARDED_BY(mutex_);  ///< As its structure says; empty: not known.
  std::uint64_t furthest_read_ GUARDED_BY(mutex_) = 0;  ///< End of it.
  std::uint64_t stray_reads_ GUARDED_BY(mutex_) = 0;    ///< Of chunks that are not planned.
  std::uint64_t taken_bytes_ GUARDED_BY(mutex_) = 0;    ///< Read since it was opened.
  std::move_only_function<void()> when_taken_ GUARDED_BY(mutex_);
  std::vector<Done<void>> whole_waiters_ GUARDED_BY(mutex_);
  std::optional<Error> changed_ GUARDED_BY(mutex_);
  std::optional<Errc> failure_said_ GUARDED_BY(mutex_);  ///< In the log, since a fetch last worked.
  bool stream_only_ GUARDED_BY(mutex_) = false;          ///< The origin knows no ranges.
  bool streaming_ GUARDED_BY(mutex_) = false;            ///< A StreamFlight is under way.
  Verified verified_ GUARDED_BY(mutex_) = Verified::kNo;
  SumsState sums_state_ GUARDED_BY(mutex_) = SumsState::kUnknown;
  bool published_known_ GUARDED_BY(mutex_) = false;
  fetch::PublishedChecksums published_ GUARDED_BY(mutex_);
  std::uint64_t stored_chunks_ GUARDED_BY(mutex_) = 0;  ///< In this life, since it was last asked.
  std::uint64_t losses_ GUARDED_BY(mutex_) = 0;         ///< How often chunks were taken out of use.
  std::optional<Error> corrupt_ GUARDED_BY(mutex_);     ///< Twice not what the origin publishes.
  std::vector<std::uint64_t> corrupt_chunks_ GUARDED_BY(mutex_);  ///< Ascending.
  std::uint64_t accounted_bytes_ GUARDED_BY(mutex_) = 0;
  FilesState files_state_ GUARDED_BY(mutex_) = FilesState::kIdle;
  bool dirty_ GUARDED_BY(mutex_) = false;  ///< The index was told so.
  Loads unstored_ GUARDED_BY(mutex_);      ///< Full, waiting for the files.
  bool seal_wanted_ GUARDED_BY(mutex_) = false;
  bool sealing_ GUARDED_BY(mutex_) = false;     ///< The `seal` thread has it.
  bool proven_ GUARDED_BY(mutex_) = false;      ///< Equal to the origin's sums, in this life.
  bool sealed_ GUARDED_BY(mutex_) = false;      ///< The file is not changed any more.
  bool was_sealed_ GUARDED_BY(mutex_) = false;  ///< In an earlier life.
  bool trusted_ GUARDED_BY(mutex_) = false;     ///< Sealed, and seen to be right.
  bool broken_ GUARDED_BY(mutex_) = false;      ///< Sealed, seen to be wrong, being replaced.
  /// Replaced, but perhaps in use by a TryReadNow.
  std::vector<std::unique_ptr<ObjectFiles>> retired_ GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point store_broken_until_ GUARDED_BY(mutex_);
  /// Set once, before data_fd_; then constant.
  std::unique_ptr<ObjectFiles> files_;
  /// Set by Load, before loaded_; then constant. Null: there is no shared tier.
  std::shared_ptr<shared::SharedObject> shared_;
};

}  // namespace modelfs::index
