#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "fetch/base/byte_range.h"

namespace modelfs::index {

/// Finds sequences among the reads of one object.
///
/// Many readers may go through an object at once, and the reads of one arrive in pieces of 128 KiB
/// to 1 MiB, a little out of order. Each sequence is followed by a cursor: a read that begins near
/// a cursor's front belongs to it. A cursor whose reads touch most of the chunks that it passed
/// over (a stride within a chunk does) is sequential and gets a window in front of it, twice, and
/// later four times, as long as its run, up to a limit; when much of the object was read that way
/// the window is the rest of it.
///
///     |<------- run ------->|<-------- window -------->|
///     start              front                       end
///
/// A long run, and then a read somewhere else, are a loader that takes tensors in an order of its
/// own: it will want all of them, and of each one as much as of the last one, at once.
///
/// Threads: none of its own; guarded by its owner.
class ReadAhead {
 public:
  struct Options {
    std::uint64_t chunk_bytes = 1u << 20;
    std::uint64_t object_bytes = 0;
    std::uint64_t most_window_bytes = 64u << 20;
    std::size_t cursors = 32;
  };
  struct Window {
    std::uint64_t cursor = 0;  ///< Which sequence; a later window of it replaces this one.
    ByteRange range;
  };

  struct Advice {
    std::optional<Window> window;  ///< Its sequence now wants more than before.
    bool whole = false;            ///< All of the object will be wanted; said once.
  };

  explicit ReadAhead(Options options) : options_(options) {}

  /// Notes a read.
  Advice Note(ByteRange read);
  /// The readers have gone.
  void Forget();

 private:
  struct Cursor {
    std::uint64_t id = 0;
    std::uint64_t start = 0;
    std::uint64_t front = 0;       ///< End of the furthest read.
    std::uint64_t read_bytes = 0;  ///< Sum of its reads.
    std::uint64_t bytes = 0;       ///< Of the chunks that its reads touched.
    std::uint64_t reads = 0;
    std::uint64_t touched = 0;  ///< End of the last chunk that was counted in `bytes`.
    std::uint64_t wanted = 0;   ///< End of the window given out last.
    std::uint64_t used = 0;     ///< Clock of the last read.
  };

  void Advance(Cursor& cursor, ByteRange read);
  void Count(Cursor& cursor, ByteRange read);
  bool WholeWish();
  void DoubtLongRuns();
  std::optional<Window> WindowOf(Cursor& cursor, ByteRange read);
  Cursor* Find(ByteRange read);
  Cursor& Replace(ByteRange read);

  const Options options_;
  std::vector<Cursor> cursors_;
  std::uint64_t clock_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint64_t long_run_ = 0;    ///< Length of the latest one; 0: there was none.
  std::uint64_t read_bytes_ = 0;  ///< By all.
  std::uint64_t newest_ = 0;      ///< The cursor that was begun last.
  bool wished_ = false;           ///< The whole was wished for.
};

}  // namespace modelfs::index
