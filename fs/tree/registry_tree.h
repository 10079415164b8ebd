#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/tree/node_id.h"
#include "fs/tree/promotions.h"
#include "fs/tree/registry_catalog.h"
#include "fs/tree/registry_nodes.h"
#include "fs/tree/shards_ahead.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// The tree of a model registry:
///
///     <model>/<version>/...        the version's artifacts
///     <model>/@<alias>             symlink to the version; also for old-style stages
///     <model>/latest               symlink to the highest version
///
/// Node ids (node_id.h) have four kinds of manifest serial. What got a number keeps it for the life
/// of the tree; it is found by name only while the registry has it:
///
///     1   models          index: order of first sight
///     2   their entries   index: order of first sight of (model, version) or (model, link, target)
///     3+  versions' files, as VersionFiles numbers them
///
/// A link that moves is another node, so that nothing the kernel keeps of the old one is wrong.
///
/// All of this is in `tree.nodes`, below the tree's own number.
/// Holds no lock of its own.
class RegistryTree final : public Tree, public std::enable_shared_from_this<RegistryTree> {
 public:
  /// `tree.sources` is for whoever asks options(); `catalog` is stopped with the tree. `number` is
  /// the tree's in the node log.
  /// `promotions` holds aliases back; null: none is.
  RegistryTree(Options tree, std::shared_ptr<RegistryCatalog> catalog,
               std::shared_ptr<Promotions> promotions = nullptr, std::uint32_t number = 1);
  ~RegistryTree() override;

  // Goes on with the numbers of another process: the records of its log that are this registry's,
  // in their order, before the tree is used. Errors: kCorrupt.
  Result<void> Restore(const ModelRecord& record) { return nodes_.Restore(record); }
  Result<void> Restore(const LineRecord& record) { return nodes_.Restore(record); }
  Result<void> Restore(const FilesRecord& record);

  const Options& options() const override { return options_; }
  std::vector<Source> Sources() const override { return options_.sources; }
  void Reconfigure(std::vector<Source> sources, std::chrono::milliseconds listing_ttl) override;
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
  /// For the name of any source: this tree has but one.
  std::optional<std::vector<fetch::ObjectId>> ListedFiles(std::string_view source) const override;

  std::vector<PendingSwitch> PendingSwitches() const override;
  std::vector<ListedVersion> ListedVersions(std::string_view source) const override;
  /// The version behind line `line`, with its files if they are known. May read the index.
  /// Errors: kNotFound (no such line, or a link).
  Result<ListedVersion> VersionAt(std::uint32_t line) const;

  RegistryCatalog& catalog() const { return *catalog_; }

 private:
  using FilesPtr = RegistryCatalog::FilesPtr;

  using Model = RegistryNodes::Model;
  using Line = RegistryNodes::Line;

  void LookupModel(std::string_view name, RegistryCatalog::Age age, Done<Node> done);
  void LookupLink(std::uint32_t model, const std::string& name, RegistryCatalog::Age age,
                  Done<Node> done);
  void LookupVersion(std::uint32_t model, const std::string& name, RegistryCatalog::Age age,
                     Done<Node> done);
  void LookupFile(std::uint64_t parent, const std::string& name, Done<Node> done);
  void ReadRoot(std::uint64_t from, std::size_t limit, Done<std::vector<DirectoryEntry>> done);
  void ReadModel(std::uint32_t model, std::uint64_t from, std::size_t limit,
                 Done<std::vector<DirectoryEntry>> done);
  std::vector<DirectoryEntry> ReadFiles(std::uint32_t serial, std::uint32_t folder,
                                        std::uint64_t from, std::size_t limit) const;
  /// The files behind a line that is a version, with the serial of their numbers.
  void FilesOf(std::uint32_t line, Done<std::uint32_t> done);

  static Line LinkLine(std::uint32_t model, std::string name, std::uint64_t target);
  std::vector<std::pair<std::string, std::uint64_t>> Links(
      const fetch::RegisteredModel& model) const;

  void NoteShard(const NodeId& node, const FilesPtr& files,
                 const std::shared_ptr<index::CachedObject>& object);

  Node RootNode() const;
  Node ModelNode(std::uint32_t number, const Model& model) const;
  Node LineNode(std::uint32_t number, const Line& line) const;
  Node FileNode(std::uint32_t serial, std::uint32_t number, const VersionFiles& files) const;

  const Options options_;
  const std::shared_ptr<RegistryCatalog> catalog_;
  const std::shared_ptr<Promotions> promotions_;
  const std::chrono::system_clock::time_point created_ = std::chrono::system_clock::now();
  RegistryNodes nodes_;
  const std::shared_ptr<ShardsAhead> shards_;
};

/// A model's name as a directory's: escaped reversibly (names.h), and none that is ours.
std::optional<std::string> ModelDirectoryName(std::string_view raw);

}  // namespace modelfs::fs
