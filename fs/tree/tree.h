#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/origin.h"
#include "index/cache.h"

namespace modelfs::fs {

/// What a name leads to; the number in it is the kernel's node id.
struct Node {
  enum class Kind : std::uint8_t {
    kDirectory,
    kFile,
    kSymlink,
  };
  std::uint64_t id = 0;
  Kind kind = Kind::kDirectory;
  std::uint64_t size_bytes = 0;
  std::chrono::system_clock::time_point modified{};
  std::chrono::milliseconds valid_for{0};  ///< How long the kernel may keep name -> node.
};

/// One line of a directory.
struct DirectoryEntry {
  std::string name;        ///< As shown: escaped where it was no safe file name.
  std::uint64_t next = 0;  ///< Position behind this entry, for readdir.
  Node node;
};

/// The virtual tree of one mount: directories listed from origins when they are first asked for.
///
/// Threads: all methods from any thread, none waits; completions run inside the call when the
/// answer is at hand, else on an origin's thread, with no lock held.
/// Node ids stay good for the life of the tree: forgets need no bookkeeping.
class Tree {
 public:
  struct Source {
    std::string name;  ///< Directory at the root.
    std::shared_ptr<fetch::Origin> origin;
  };
  struct Options {
    std::vector<Source> sources;
    std::shared_ptr<index::Cache> cache;
    std::chrono::milliseconds listing_ttl{std::chrono::seconds(60)};
    uid_t uid = 0;
    gid_t gid = 0;
    mode_t umask = 0;
  };
  static std::shared_ptr<Tree> Create(Options options);
  virtual ~Tree() = default;

  static constexpr std::uint64_t kRootId = 1;

  virtual const Options& options() const = 0;

  /// Errors: kNotFound (`valid_for` of a negative answer: NegativeTtl), or the origin's.
  virtual void Lookup(std::uint64_t parent, std::string_view name, Done<Node> done) = 0;
  /// Errors: kNotFound for an id that was never given out.
  virtual Result<Node> Get(std::uint64_t id) = 0;
  /// Entries from position `from` (0: the start) on, at most `limit`.
  virtual void Read(std::uint64_t directory, std::uint64_t from, std::size_t limit,
                    Done<std::vector<DirectoryEntry>> done) = 0;
  /// The cached object behind a file. Never waits.
  virtual Result<std::shared_ptr<index::CachedObject>> Open(std::uint64_t file) = 0;
  /// Like Open, but without making the cache hold it open. For attributes and status.
  virtual Result<fetch::ObjectId> Identity(std::uint64_t file) = 0;
  virtual std::chrono::milliseconds NegativeTtl(std::uint64_t directory) = 0;
  /// Where a symlink points, relative. Errors: kInvalid when `id` is no symlink.
  virtual Result<std::string> ReadLink(std::uint64_t id) = 0;

  /// What has been listed so far.
  struct Totals {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };
  virtual Totals Listed() const = 0;
  /// Of the source with this name, the files that were listed so far and are not gone. Nullopt when
  /// there is no such source, or nothing of it was listed yet.
  virtual std::optional<std::vector<fetch::ObjectId>> ListedFiles(
      std::string_view source) const = 0;
};

}  // namespace modelfs::fs
