#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"
#include "fs/session/passthrough.h"
#include "fs/tree/tree.h"
#include "index/cache.h"

namespace modelfs::fs {

/// The files of one mount that the kernel reads by itself, from the file of the cache (FUSE
/// passthrough).
///
/// A file has a cold number, by which we answer its reads, and, once its object is sealed, a hot
/// one. Who opens the cold one then is told ESTALE; the kernel looks the name up again, gets the
/// hot number and opens that. What was opened before goes on as it was. The kernel knows the file
/// of the cache by a backing id, and ties it to the hot number for as long as that is open: when
/// the cache removes its file, the id is given up, and the next one comes with another number.
///
/// What is handed out is in the log of nodes first, so that a successor goes on with it.
/// Threads: any. Lock order: `mutex_`, then the log's.
class Backings : public std::enable_shared_from_this<Backings> {
 public:
  using Clock = std::chrono::steady_clock;
  using Object = std::shared_ptr<index::CachedObject>;

  /// Smaller objects are not worth the way: they are read in one request.
  static constexpr std::uint64_t kLeastBytes = 1u << 20;

  /// `device` is borrowed: a /dev/fuse that lives until Close. Nothing happens before Start.
  Backings(int device, std::shared_ptr<Tree> tree) : device_(device), tree_(std::move(tree)) {}

  enum class Life : std::uint8_t { kFirst, kSuccessor };
  /// Goes on with what a predecessor has handed out, by the log. A successor does not know who was
  /// told to look a file up again, so for a while it tells nobody.
  void Start(Life life) EXCLUDES(mutex_);
  /// No passthrough from now on; `why` is for people. Idempotent: the first reason stays.
  void Disable(std::string why) EXCLUDES(mutex_);
  /// Some time has passed.
  void Tick(Clock::time_point now) EXCLUDES(mutex_);
  /// The device may go away. What is handed out stays so.
  void Close() EXCLUDES(mutex_);

  /// The number by which the kernel is to know a file from now on.
  std::uint64_t Current(std::uint64_t cold) const EXCLUDES(mutex_);
  /// As Current, for thread `pid`. If that was told to look the file up again, it stays until it is
  /// opened: to be told so twice would be an error of the open.
  std::uint64_t Show(std::uint32_t pid, std::uint64_t cold) EXCLUDES(mutex_);
  /// A hot number was opened.
  void NoteOpen(std::uint64_t cold) EXCLUDES(mutex_);
  /// Gives the file of a sealed object to the kernel. True when Current is hot then. Never waits
  /// for the network; opens a file.
  bool Prepare(std::uint64_t cold, const Object& object) EXCLUDES(mutex_);
  /// The backing id of a hot number; nullopt when it is no more.
  std::optional<std::int32_t> Find(std::uint64_t hot) const EXCLUDES(mutex_);

  /// Notes that thread `pid` was told to look the file up again.
  void NoteRetry(std::uint32_t pid, std::uint64_t cold) EXCLUDES(mutex_);
  /// Whether it was: it will not do so twice. Forgets it.
  bool TakeRetry(std::uint32_t pid, std::uint64_t cold) EXCLUDES(mutex_);

  PassthroughState state() const EXCLUDES(mutex_);

 private:
  struct File {
    std::uint32_t life = 0;
    std::int32_t backing_id = 0;  ///< 0: none.
    int retries = 0;              ///< Threads that were told to look it up again.
    Object held;                  ///< So that its file stays, until then.
    Clock::time_point held_until;
  };
  struct Retry {
    int count = 0;
    Clock::time_point at;
  };
  /// An open that a predecessor has answered is over within so long, however busy the machine is;
  /// until then its file must stay. Who has it open after that needs us no more.
  static constexpr std::chrono::seconds kHoldTime{10};
  /// Who was told a hot number opens it within so long.
  static constexpr std::chrono::seconds kShownTime{3};
  /// A thread comes back at once, or never.
  static constexpr std::chrono::seconds kRetryTime{10};

  void Watch(std::uint64_t cold, std::uint32_t life, const fetch::ObjectId& id);
  std::uint64_t CurrentOf(std::uint64_t cold) const REQUIRES(mutex_);
  void Hold(std::uint64_t cold, std::chrono::seconds time) EXCLUDES(mutex_);
  static void Keep(File& file, const Object& object);
  void GiveUp(std::uint64_t cold, std::uint32_t life) EXCLUDES(mutex_);
  void Log(std::uint64_t cold, const File& file) REQUIRES(mutex_);

  const int device_;
  const std::shared_ptr<Tree> tree_;
  mutable Mutex mutex_;
  bool closed_ GUARDED_BY(mutex_) = false;
  bool started_ GUARDED_BY(mutex_) = false;
  std::string disabled_ GUARDED_BY(mutex_);
  std::uint64_t open_ids_ GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::uint64_t, File> files_ GUARDED_BY(mutex_);  ///< By cold number.
  Clock::time_point tell_from_ GUARDED_BY(mutex_){};                  ///< To look a file up again.
  std::unordered_map<std::uint64_t, Retry> retries_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
