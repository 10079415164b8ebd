#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/mutex.h"
#include "fs/tree/directory.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// The tree of plain sources: each source a directory at the root, filled from its origin.
///
/// Lock order: Directory::mutex_, then OriginTree::mutex_.
class OriginTree final : public Tree, public std::enable_shared_from_this<OriginTree> {
 public:
  explicit OriginTree(Options options);
  ~OriginTree() override;

  const Options& options() const override { return options_; }
  void Lookup(std::uint64_t parent, std::string_view name, Done<Node> done) override;
  Result<Node> Get(std::uint64_t id) override;
  void Read(std::uint64_t directory, std::uint64_t from, std::size_t limit,
            Done<std::vector<DirectoryEntry>> done) override;
  Result<std::shared_ptr<index::CachedObject>> Open(std::uint64_t file) override;
  Result<fetch::ObjectId> Identity(std::uint64_t file) override;
  std::chrono::milliseconds NegativeTtl(std::uint64_t directory) override;
  Result<std::string> ReadLink(std::uint64_t id) override;
  Totals Listed() const override;
  std::optional<std::vector<fetch::ObjectId>> ListedFiles(std::string_view source) const override;

 private:
  using Clock = Directory::Clock;
  struct Place {  ///< Where a file stands.
    std::shared_ptr<Directory> directory;
    Directory::Item item;
  };

  /// The directory that node `id` is, made if nobody looked into it before.
  Result<std::shared_ptr<Directory>> DirectoryOf(std::uint64_t id);
  std::shared_ptr<Directory> BySerial(std::uint32_t serial) const;
  std::uint32_t MakeDirectory(std::string path, std::shared_ptr<fetch::Origin> origin);
  Result<Place> FileAt(std::uint64_t id);
  static fetch::ObjectId IdentityOf(const Place& place);
  void Ensure(const std::shared_ptr<Directory>& directory, Done<void> done);
  static Node NodeOf(std::uint32_t serial, std::uint32_t index, const Directory::Item& item,
                     std::chrono::milliseconds valid_for);
  Node SourceNode(std::size_t index) const;
  void Tick();

  const Options options_;
  const std::chrono::system_clock::time_point created_ = std::chrono::system_clock::now();
  mutable Mutex mutex_;
  CondVar waiting_changed_;
  std::vector<std::shared_ptr<Directory>> directories_ GUARDED_BY(mutex_);  ///< By serial - 1.
  std::vector<std::shared_ptr<Directory>> waiting_ GUARDED_BY(mutex_);      ///< Have waiters.
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread tick_;
};

}  // namespace modelfs::fs
