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
/// a cursor's front belongs to it. A cursor whose reads cover most of what it passed over is
/// sequential and gets a window in front of it, twice as long as its run, up to a limit; when much
/// of the object was read that way the window is the rest of it.
///
///     |<------- run ------->|<-------- window -------->|
///     start              front                       end
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

  explicit ReadAhead(Options options) : options_(options) {}

  /// Notes a read. A window when its sequence now wants more than before.
  std::optional<Window> Note(ByteRange read);

 private:
  struct Cursor {
    std::uint64_t id = 0;
    std::uint64_t start = 0;
    std::uint64_t front = 0;  ///< End of the furthest read.
    std::uint64_t bytes = 0;  ///< Sum of its reads.
    std::uint64_t reads = 0;
    std::uint64_t wanted = 0;  ///< End of the window given out last.
    std::uint64_t used = 0;    ///< Clock of the last read.
  };

  Cursor* Find(ByteRange read);
  Cursor& Replace(ByteRange read);

  const Options options_;
  std::vector<Cursor> cursors_;
  std::uint64_t clock_ = 0;
  std::uint64_t last_id_ = 0;
};

}  // namespace modelfs::index
