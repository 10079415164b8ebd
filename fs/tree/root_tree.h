#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fetch/base/mutex.h"
#include "fs/tree/origin_tree.h"
#include "fs/tree/registry_tree.h"
#include "fs/tree/report_tree.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// The root of a mount: plain sources, registries under a name, and at most one registry without a
/// name, whose models stand at the root themselves. A name of the configuration hides a model of
/// the same name.
///
/// A tree's number is the highest four bits of a manifest serial (node_id.h): 0 is that of the
/// plain sources, whose node ids are the same here and there; registries have 1 to 14, and the
/// directory `.modelfs` has 15.
///
/// Lock order: `mutex_`, then NodeLog::mutex_; trees are called with no lock held.
class RootTree final : public Tree, public std::enable_shared_from_this<RootTree> {
 public:
  /// Empty: Reconfigure puts the sources in.
  explicit RootTree(Options options);

  /// Goes on with the node ids of another process, before the tree is used. As Tree::Resume.
  Result<void> Restore();

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
  std::chrono::milliseconds NegativeTtl(std::uint64_t directory) override;
  bool IsReport(std::uint64_t id) const override;
  void Report(std::uint64_t id, Done<std::string> done) override;
  Result<std::string> ReadLink(std::uint64_t id) override;
  Totals Listed() const override;
  std::vector<PendingSwitch> PendingSwitches() const override;
  std::vector<ListedVersion> ListedVersions(std::string_view source) const override;
  std::optional<std::vector<fetch::ObjectId>> ListedFiles(std::string_view source) const override;
  void RefreshRegistries() override;
  Result<std::shared_ptr<fetch::Origin>> OriginOf(std::uint64_t file) override;
  std::optional<SignedPlace> SignatureOf(std::uint64_t file) const override;

 private:
  static constexpr std::size_t kMostRegistries = 14;
  static constexpr std::uint32_t kReports = 15;
  struct Mounted {
    Source source;
    std::shared_ptr<RegistryTree> tree;
    std::uint32_t number = 0;
    bool gone = false;
  };

  std::vector<Mounted> Registries() const EXCLUDES(mutex_);
  std::vector<ReportTree::Registry> RegistriesForReports() const EXCLUDES(mutex_);
  /// The registry without a name; its tree is null when there is none.
  Mounted Unnamed() const EXCLUDES(mutex_);
  std::shared_ptr<RegistryTree> MakeRegistry(const Source& source, std::uint32_t number,
                                             std::chrono::milliseconds listing_ttl) const;
  template <class Record>
  Result<void> RestoreRecord(const Record& record) EXCLUDES(mutex_);
  Result<void> RestoreRegistry(const RegistryRecord& record) EXCLUDES(mutex_);
  /// The tree that `id` belongs to, and what it calls it. Null: nobody's.
  std::shared_ptr<Tree> TreeOf(std::uint64_t id, std::uint64_t* local) const EXCLUDES(mutex_);
  void ReadRoot(std::uint64_t from, std::size_t limit, Done<std::vector<DirectoryEntry>> done);
  void ReadUnnamed(std::uint64_t from, std::size_t limit, std::vector<DirectoryEntry> before,
                   Done<std::vector<DirectoryEntry>> done);

  const Options options_;
  const std::shared_ptr<OriginTree> plain_;
  const std::shared_ptr<ReportTree> reports_;  ///< Null when nobody makes reports.
  mutable Mutex mutex_;
  std::vector<Mounted> registries_ GUARDED_BY(mutex_);  ///< By number - 1.
};

}  // namespace modelfs::fs
