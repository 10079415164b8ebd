#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "fetch/base/byte_range.h"
#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"
#include "fetch/base/worker_pool.h"
#include "fetch/origin.h"
#include "fetch/registry.h"
#include "fs/copy/copied_version.h"
#include "fs/copy/staging.h"

namespace modelfs::fs {

/// Fills a Staging with all files of a version: in pieces, many at once, checked, synced.
///
///     piece   known to the journal ─► read back ─┬─► there
///             else, or it differs ──► fetched ───┘
///     file    all pieces there ─► compared with the origin's checksum ─► synced ─► done
///                                 └─ differs: its bad pieces are fetched once more, then kCorrupt
///
/// A server that gives files only as a whole is read as one stream per file.
///
/// Threads: Run on the caller's, which decides everything; `copy-N` read, write and sum;
/// completions of the origin only hand on. Lock order: `mutex_` is a leaf.
class VersionCopy {
 public:
  struct Count {
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;
    std::uint64_t files_done = 0;
    std::uint64_t files_total = 0;
    std::uint64_t bytes_fetched = 0;  ///< Of bytes_done, by this run.
  };
  struct Options {
    /// Given up when something fails, so that what is in flight ends soon: nobody else holds them.
    std::shared_ptr<fetch::Origin> origin;
    std::shared_ptr<fetch::Registry> registry;  ///< May be null.
    const CopyList* list = nullptr;             ///< Borrowed.
    const Staging* staging = nullptr;           ///< Borrowed.
    std::uint64_t piece_bytes = 4u << 20;
    std::size_t at_once = 16;  ///< Requests in flight; times piece_bytes is the memory.
    int threads = 4;
    /// Called on Run's thread, a few times per second.
    std::function<void(const Count&)> on_progress;
  };
  explicit VersionCopy(Options options);

  /// Returns when all files are whole, checked and synced. What was written stays for the next run
  /// when it fails. Errors: those of Origin::Read; kCorrupt (twice not what the origin's checksum
  /// says); kNoSpace and others of the disk.
  Result<Count> Run();

 private:
  struct Piece {
    std::uint32_t file = 0;
    ByteRange range;
    std::optional<std::uint64_t> known;  ///< Its hash, by the journal.
  };
  struct File {
    std::shared_ptr<const Fd> fd;  ///< While something of it is being done.
    std::vector<bool> there;       ///< By piece.
    std::size_t missing = 0;       ///< Pieces.
    int active = 0;                ///< Operations in flight.
    int mends = 0;
    bool stream = false;     ///< Can be had only as a whole.
    bool streaming = false;  ///< And is being had.
    bool sealing = false;    ///< Waits to be sealed, or is.
  };
  struct Event {
    enum class Kind : std::uint8_t {
      kChecked,      ///< A known piece was read back; kCorrupt: it is not what it was.
      kFetched,      ///< A piece was fetched and written.
      kStreamPiece,  ///< The same, of a stream that goes on.
      kStreamEnded,
      kSealed,  ///< A file was compared and synced, or has `bad` ranges.
    };
    Kind kind;
    std::uint32_t file = 0;
    ByteRange range{};
    Result<void> result{};
    std::vector<ByteRange> bad{};
  };

  void Plan();
  void Launch();
  void Start(const Piece& piece);
  void StartCheck(const Piece& piece);
  void StartFetch(const Piece& piece);
  void StartStream(std::uint32_t number);
  void StartSeal(std::uint32_t number);
  bool OpenIfNeeded(std::uint32_t number);
  void Take(Event event);
  void TakeSealed(Event event);
  void Settle(std::uint32_t number);
  void MarkThere(std::uint32_t number, ByteRange range);
  void Failed(Error error);

  // On `copy-N`.
  Result<void> Keep(const Fd& fd, std::uint32_t number, ByteRange range,
                    std::span<const std::byte> bytes) const;
  Event Seal(std::uint32_t number, const Fd& fd, const fetch::PublishedChecksums& published) const;

  void Tell(Event event) EXCLUDES(mutex_);
  std::deque<Event> AwaitEvents() EXCLUDES(mutex_);
  const CopyFile& What(std::uint32_t number) const { return options_.list->files[number]; }

  Options options_;
  std::vector<File> files_;
  std::deque<Piece> todo_;
  std::deque<std::uint32_t> to_seal_;
  std::size_t active_ = 0;
  std::optional<Error> failure_;
  Count count_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Event> events_ GUARDED_BY(mutex_);
  WorkerPool pool_;  ///< Last: its threads use the rest.
};

}  // namespace modelfs::fs
