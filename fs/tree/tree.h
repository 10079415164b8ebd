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
#include "fetch/base/timer.h"
#include "fetch/origin.h"
#include "fetch/registry.h"
#include "fs/tree/mount_reports.h"
#include "fs/tree/node_log.h"
#include "fs/tree/pending_switch.h"
#include "index/cache.h"

namespace modelfs::fs {

/// What a name leads to; the number in it is the kernel's node id.
struct Node {
  enum class Kind : std::uint8_t {
    kDirectory,
    kFile,
    kSymlink,
    kReport,  ///< A file whose text is made when it is opened, so that its size is not known.
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

/// The name of a file that says what a model's files are; see fs/signature.
inline constexpr std::string_view kSignatureName = "model.sig";

/// Which signature speaks for a file, and what it calls it.
struct SignedPlace {
  std::uint64_t signature = 0;  ///< The node of the nearest `model.sig` above it.
  std::string path;             ///< Of the file below that one's folder, as the origin has it.
};

/// The virtual tree of one mount: directories listed from origins when they are first asked for.
///
/// Threads: all methods from any thread, none waits; completions run inside the call when the
/// answer is at hand, else on an origin's thread, with no lock held.
/// Node ids stay good for the life of the tree: forgets need no bookkeeping.
class Tree {
 public:
  struct Source {
    std::string name;  ///< Directory at the root; of a registry also "": it fills the root.
    std::shared_ptr<fetch::Origin> origin;      ///< Null: the source is `registry`.
    std::shared_ptr<fetch::Registry> registry;  ///< Null: the source is `origin`.
    std::vector<std::string> models;  ///< Of a registry: globs of the models to show; empty: all.

    std::string Describe() const { return registry ? registry->Describe() : origin->Describe(); }
  };
  struct Options {
    std::vector<Source> sources;
    std::shared_ptr<index::Cache> cache;
    /// Gets what node ids mean before the kernel learns them; null: they end with the process.
    std::shared_ptr<NodeLog> nodes;
    std::chrono::milliseconds listing_ttl{std::chrono::seconds(60)};
    uid_t uid = 0;
    gid_t gid = 0;
    mode_t umask = 0;
    Timer* timer = nullptr;  ///< Borrowed; needed where there is a registry.
    std::chrono::milliseconds alias_poll{std::chrono::seconds(30)};  ///< Of registries, +- 20 %.
    std::function<double()> random = [] { return 0.5; };             ///< In [0, 1), for that.
    /// An alias that moves is followed only when the new version is in the cache.
    bool warm_promotions = false;
    /// Makes the texts below `.modelfs`; null: there is no such directory.
    std::shared_ptr<MountReports> reports;
  };
  /// A RootTree: plain sources and registries.
  static std::shared_ptr<Tree> Create(Options options);
  /// Goes on with the node ids of another process: `options.nodes` is its log.
  /// Errors: kCorrupt (the log cannot be followed).
  static Result<std::shared_ptr<Tree>> Resume(Options options);
  virtual ~Tree() = default;

  static constexpr std::uint64_t kRootId = 1;

  /// As it was made: `sources` and `listing_ttl` may have changed since, see Sources.
  virtual const Options& options() const = 0;

  /// What stands at the root now.
  virtual std::vector<Source> Sources() const = 0;
  /// Puts other sources at the root. One that has name and origin in common with one that is there
  /// stays as it is; one that is not in `sources` is no longer found, but who is in it goes on:
  /// numbers, open files and what was listed stay good. The kernel notices within a second.
  virtual void Reconfigure(std::vector<Source> sources, std::chrono::milliseconds listing_ttl) = 0;

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
  /// Where the bytes of a file come from. Errors: as Identity.
  virtual Result<std::shared_ptr<fetch::Origin>> OriginOf(std::uint64_t file) = 0;
  /// Nullopt: there is none above it, as far as folders have been looked into. Never waits.
  virtual std::optional<SignedPlace> SignatureOf(std::uint64_t /*file*/) const {
    return std::nullopt;
  }
  /// Whether `id` is a node of kind kReport, given out or not.
  virtual bool IsReport(std::uint64_t) const { return false; }
  /// The text of a report, made now. `done`: as MountReports says, or inside the call.
  /// Errors: kInvalid when it is none, kNotFound.
  virtual void Report(std::uint64_t id, Done<std::string> done);
  virtual std::chrono::milliseconds NegativeTtl(std::uint64_t directory) = 0;
  /// Where a symlink points, relative. Errors: kInvalid when `id` is no symlink.
  virtual Result<std::string> ReadLink(std::uint64_t id) = 0;

  /// What has been listed so far.
  struct Totals {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };
  virtual Totals Listed() const = 0;
  /// Asks the registries what their aliases mean now. Returns at once.
  virtual void RefreshRegistries() {}
  /// Aliases that moved and wait for their bytes.
  virtual std::vector<PendingSwitch> PendingSwitches() const { return {}; }
  /// Of the registry with this name, the versions that were looked into.
  virtual std::vector<ListedVersion> ListedVersions(std::string_view) const { return {}; }
  /// Of the source with this name, the files that were listed so far and are not gone. Nullopt when
  /// there is no such source, or nothing of it was listed yet.
  virtual std::optional<std::vector<fetch::ObjectId>> ListedFiles(
      std::string_view source) const = 0;
};

}  // namespace modelfs::fs
