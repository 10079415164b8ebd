#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fs/tree/mount_reports.h"
#include "fs/tree/registry_tree.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// The directory `.modelfs` at a mount's root: its status as files. Looked up by name only: the
/// root does not list it, because whoever lists the root wants models.
///
///     version, status.json
///     <model>/<version>/progress.json           of the registry that fills the root, its links too
///     <name>/<model>/<version>/progress.json    of a registry with a name
///
/// Node ids are made of those of the registries' trees, so that they outlive this process as those
/// do: manifest `kind << 4 | registry's number`, index that of the model or the line.
///
/// Threads: as Tree. Holds no lock. `registries` is called in calls of Tree only.
class ReportTree final : public Tree {
 public:
  /// A registry of the mount.
  struct Registry {
    std::string name;  ///< Of its directory; empty: it fills the root.
    std::shared_ptr<RegistryTree> tree;
    std::uint32_t number = 0;  ///< 1 to 15; nobody else's for the life of the mount.
    bool gone = false;         ///< Not found by name any more, but by the ids that it gave.
  };
  using Registries = std::function<std::vector<Registry>()>;

  static constexpr std::string_view kName = ".modelfs";

  /// Requires: `options.reports`.
  ReportTree(Options options, Registries registries);

  const Options& options() const override { return options_; }
  std::vector<Source> Sources() const override { return {}; }
  void Reconfigure(std::vector<Source>, std::chrono::milliseconds) override {}
  void Lookup(std::uint64_t parent, std::string_view name, Done<Node> done) override;
  Result<Node> Get(std::uint64_t id) override;
  void Read(std::uint64_t directory, std::uint64_t from, std::size_t limit,
            Done<std::vector<DirectoryEntry>> done) override;
  bool IsReport(std::uint64_t id) const override;
  void Report(std::uint64_t id, Done<std::string> done) override;
  Result<std::string> ReadLink(std::uint64_t id) override;
  std::chrono::milliseconds NegativeTtl(std::uint64_t directory) override;

  // There are no bytes of an origin here. Errors: kInvalid.
  Result<std::shared_ptr<index::CachedObject>> Open(std::uint64_t file) override;
  Result<fetch::ObjectId> Identity(std::uint64_t file) override;
  Result<std::shared_ptr<fetch::Origin>> OriginOf(std::uint64_t file) override;
  Totals Listed() const override { return {}; }
  std::optional<std::vector<fetch::ObjectId>> ListedFiles(std::string_view) const override {
    return std::nullopt;
  }

 private:
  enum class Kind : std::uint8_t {
    kFixed = 0,     ///< A file of the top; index: which.
    kRegistry = 1,  ///< A named registry's directory; index 0.
    kModel = 2,     ///< Index: the model's number.
    kLine = 3,      ///< A version's directory or a link to it; index: the line's number.
    kProgress = 4,  ///< progress.json of that line.
    kNone = 5,      ///< Of no number that was given out.
  };
  static std::uint64_t Id(Kind kind, std::uint32_t registry, std::uint32_t index);
  static Kind KindOf(std::uint64_t id);
  static std::uint32_t RegistryOf(std::uint64_t id);

  /// Null: there is none with this number.
  std::shared_ptr<RegistryTree> TreeAt(std::uint32_t registry) const;
  /// What a node of registry `registry`'s tree, a model or a line, is here.
  static Node Mirror(const Node& node, std::uint32_t registry);
  void LookupTop(std::string_view name, Done<Node> done);
  /// Looks `name` up in a directory of the registry's tree.
  void LookupIn(const std::shared_ptr<RegistryTree>& tree, std::uint32_t registry,
                std::uint64_t directory, std::string_view name, Done<Node> done);
  void ReadTop(std::uint64_t from, std::size_t limit, Done<std::vector<DirectoryEntry>> done);
  /// The same for reading; positions here are `shift` more than there.
  void ReadIn(const std::shared_ptr<RegistryTree>& tree, std::uint32_t registry,
              std::uint64_t directory, std::uint64_t from, std::uint64_t shift, std::size_t limit,
              std::vector<DirectoryEntry> before, Done<std::vector<DirectoryEntry>> done);

  const Options options_;
  const Registries registries_;
  const std::chrono::system_clock::time_point created_ = std::chrono::system_clock::now();
};

}  // namespace modelfs::fs
