#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/mutex.h"
#include "fs/tree/directory.h"
#include "fs/tree/node_record.h"
#include "fs/tree/scan_ahead.h"
#include "fs/tree/shards_ahead.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// The tree of plain sources: each source a directory at the root, filled from its origin.
///
/// Lock order: Directory::mutex_, then OriginTree::mutex_.
class OriginTree final : public Tree, public std::enable_shared_from_this<OriginTree> {
 public:
  explicit OriginTree(Options options);
  ~OriginTree() override;

  // Goes on with the numbers of another process: the records of its log that are of plain sources,
  // in their order, before the tree is used. Errors: kCorrupt.
  Result<void> Restore(const SlotRecord& record) EXCLUDES(mutex_);
  Result<void> Restore(const DirectoryRecord& record) EXCLUDES(mutex_);
  Result<void> Restore(const EntriesRecord& record) EXCLUDES(mutex_);

  const Options& options() const override { return options_; }
  std::vector<Source> Sources() const override EXCLUDES(mutex_);
  void Reconfigure(std::vector<Source> sources, std::chrono::milliseconds listing_ttl) override
      EXCLUDES(mutex_);
  void Lookup(std::uint64_t parent, std::string_view name, Done<Node> done) override;
  Result<Node> Get(std::uint64_t id) override;
  void Read(std::uint64_t directory, std::uint64_t from, std::size_t limit,
            Done<std::vector<DirectoryEntry>> done) override;
  Result<std::shared_ptr<index::CachedObject>> Open(std::uint64_t file) override;
  Result<fetch::ObjectId> Identity(std::uint64_t file) override;
  Result<std::shared_ptr<fetch::Origin>> OriginOf(std::uint64_t file) override;
  std::optional<SignedPlace> SignatureOf(std::uint64_t file) const override;
  std::chrono::milliseconds NegativeTtl(std::uint64_t directory) override;
  Result<std::string> ReadLink(std::uint64_t id) override;
  Totals Listed() const override;
  std::optional<std::vector<fetch::ObjectId>> ListedFiles(std::string_view source) const override;

 private:
  using Clock = Directory::Clock;
  /// A place at the root; its number is part of node ids and never used for another source.
  struct Slot {
    Source source;
    std::uint32_t serial = 0;  ///< Of its directory.
    bool gone = false;
  };
  struct Place {  ///< Where a file stands.
    std::shared_ptr<Directory> directory;
    Directory::Item item;
  };

  /// The directory that node `id` is, made if nobody looked into it before.
  Result<std::shared_ptr<Directory>> DirectoryOf(std::uint64_t id);
  std::shared_ptr<Directory> BySerial(std::uint32_t serial) const;
  /// The directory of an origin that stands at the root; null: there is none.
  std::shared_ptr<Directory> TopOf(const fetch::Origin* origin) const EXCLUDES(mutex_);
  void AddSlot(Source source) REQUIRES(mutex_);
  std::uint32_t MakeDirectory(std::string path, std::shared_ptr<fetch::Origin> origin)
      REQUIRES(mutex_);
  Result<Node> LookupSource(std::string_view name) const EXCLUDES(mutex_);
  std::vector<DirectoryEntry> ReadRoot(std::uint64_t from, std::size_t limit) const
      EXCLUDES(mutex_);
  Result<Place> FileAt(std::uint64_t id);
  // origin_tree_scan.cc
  void NoteLook(std::uint64_t id, const Directory& directory);
  void FetchNeighbours(const Directory& directory);
  void ListNeighbours(std::uint64_t id);
  void NoteShard(const std::shared_ptr<Directory>& directory, const Directory::Item& item,
                 const std::shared_ptr<index::CachedObject>& object);
  static fetch::ObjectId IdentityOf(const Directory& directory, const Directory::Item& item);
  void Ensure(const std::shared_ptr<Directory>& directory, Done<void> done);
  static Node NodeOf(std::uint32_t serial, std::uint32_t index, const Directory::Item& item,
                     std::chrono::milliseconds valid_for);
  Node SourceNode(std::size_t index) const;
  void Tick();

  const Options options_;
  const std::chrono::system_clock::time_point created_ = std::chrono::system_clock::now();
  const std::shared_ptr<ListingStore> store_;
  ScanAhead scans_;
  const std::shared_ptr<ShardsAhead> shards_;
  mutable Mutex mutex_;
  std::vector<Slot> slots_ GUARDED_BY(mutex_);  ///< By number - 1.
  std::chrono::milliseconds listing_ttl_ GUARDED_BY(mutex_);
  CondVar waiting_changed_;
  std::vector<std::shared_ptr<Directory>> directories_ GUARDED_BY(mutex_);  ///< By serial - 1.
  std::vector<std::shared_ptr<Directory>> waiting_ GUARDED_BY(mutex_);      ///< Have waiters.
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread tick_;
};

}  // namespace modelfs::fs
