#include "fs/tree/origin_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "fetch/base/thread.h"
#include "fs/tree/gone_origin.h"
#include "fs/tree/node_id.h"

namespace modelfs::fs {
namespace {

constexpr std::chrono::hours kForever{24};
/// Sources may come and go with the configuration.
constexpr std::chrono::milliseconds kSourceTtl{1'000};
constexpr std::chrono::milliseconds kTickPeriod{100};

std::unexpected<Error> NoSuchNode(std::uint64_t id) {
  return Fail(Errc::kNotFound, fmt::format("node {}: never given out", id));
}

fetch::Entry AtOrigin(const Directory::Item& item) {
  return {.name = item.RawName(),
          .kind = item.kind,
          .size_bytes = item.size_bytes,
          .modified = item.modified,
          .tag = item.tag};
}

}  // namespace

OriginTree::OriginTree(Options options)
    : options_(std::move(options)),
      store_(std::make_shared<ListingStore>(options_.cache ? &options_.cache->records() : nullptr)),
      shards_(std::make_shared<ShardsAhead>(options_.cache)),
      listing_ttl_(options_.listing_ttl) {
  tick_ = StartThread("tick", [this] { Tick(); });
}

OriginTree::~OriginTree() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  waiting_changed_.NotifyAll();
  store_->Close();  // Directories with a listing under way may outlive us, and the cache.
}

std::vector<Tree::Source> OriginTree::Sources() const {
  std::vector<Source> sources;
  MutexLock lock(mutex_);
  for (const Slot& slot : slots_) {
    if (!slot.gone) sources.push_back(slot.source);
  }
  return sources;
}

void OriginTree::Reconfigure(std::vector<Source> sources, std::chrono::milliseconds listing_ttl) {
  std::vector<std::shared_ptr<Directory>> directories;
  {
    MutexLock lock(mutex_);
    listing_ttl_ = listing_ttl;
    for (Slot& slot : slots_) {
      if (slot.gone) continue;
      const auto same = std::ranges::find_if(sources, [&](const Source& source) {
        return source.name == slot.source.name && source.origin == slot.source.origin;
      });
      slot.gone = same == sources.end();
      if (!slot.gone) sources.erase(same);
    }
    for (Source& source : sources) {
      AddSlot(std::move(source));
      const Slot& added = slots_.back();
      Append(options_.nodes, SlotRecord{.serial = added.serial,
                                        .name = added.source.name,
                                        .origin = added.source.origin->Describe()});
    }
    directories = directories_;
  }
  for (const auto& directory : directories) directory->SetListingTtl(listing_ttl, Clock::now());
}

void OriginTree::AddSlot(Source source) {
  const std::uint32_t serial = MakeDirectory("", source.origin);
  slots_.push_back({.source = std::move(source), .serial = serial});
}

void OriginTree::Tick() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    if (waiting_.empty()) {
      waiting_changed_.Wait(mutex_);
      continue;
    }
    waiting_changed_.WaitUntil(mutex_, Clock::now() + kTickPeriod);
    std::vector<std::shared_ptr<Directory>> waiting = std::exchange(waiting_, {});
    lock.Unlock();
    std::erase_if(waiting, [](const auto& d) { return !d->ExpireWaiters(Clock::now()); });
    lock.Lock();
    for (auto& directory : waiting) {
      if (std::ranges::find(waiting_, directory) == waiting_.end()) {
        waiting_.push_back(std::move(directory));
      }
    }
  }
}

std::uint32_t OriginTree::MakeDirectory(std::string path, std::shared_ptr<fetch::Origin> origin) {
  const auto serial = static_cast<std::uint32_t>(directories_.size() + 1);
  directories_.push_back(std::make_shared<Directory>(Directory::Options{
      .serial = serial,
      .path = std::move(path),
      .origin = std::move(origin),
      .store = store_,
      .nodes = options_.nodes,
      .listing_ttl = listing_ttl_,
  }));
  return serial;
}

std::shared_ptr<Directory> OriginTree::BySerial(std::uint32_t serial) const {
  MutexLock lock(mutex_);
  if (serial == 0 || serial > directories_.size()) return nullptr;
  return directories_[serial - 1];
}

Result<std::shared_ptr<Directory>> OriginTree::DirectoryOf(std::uint64_t id) {
  const NodeId node = NodeId::Unpack(id);
  if (id == kRootId) return Fail(Errc::kInvalid, "the root is no directory of an origin");
  if (node.manifest == 0) {
    MutexLock lock(mutex_);
    if (node.index == 0 || node.index > slots_.size()) return NoSuchNode(id);
    return directories_[slots_[node.index - 1].serial - 1];
  }
  auto parent = BySerial(node.manifest);
  if (!parent) return NoSuchNode(id);
  auto item = parent->At(node.index);
  if (!item) return NoSuchNode(id);
  if (item->kind != fetch::Entry::Kind::kDirectory) {
    return Fail(Errc::kNotFound, fmt::format("{}: not a directory", item->name));
  }
  return BySerial(parent->ChildSerial(node.index, [&](const EntryTable::Row& child) {
    MutexLock lock(mutex_);
    const auto serial =
        MakeDirectory(fmt::format("{}{}/", parent->path(), child.RawName()), parent->origin());
    Append(options_.nodes,
           DirectoryRecord{.serial = serial, .parent = parent->serial(), .index = node.index});
    return serial;
  }));
}

Result<void> OriginTree::Restore(const SlotRecord& record) {
  const auto same = std::ranges::find_if(options_.sources, [&](const Source& source) {
    return source.name == record.name && source.origin->Describe() == record.origin;
  });
  // Of a source that is no longer configured nothing can be read, but its numbers stay taken.
  const bool known = same != options_.sources.end();
  MutexLock lock(mutex_);
  AddSlot(known
              ? *same
              : Source{.name = record.name, .origin = std::make_shared<GoneOrigin>(record.origin)});
  if (slots_.back().serial == record.serial) return {};
  return Fail(Errc::kCorrupt, "node log: sources out of order");
}

Result<void> OriginTree::Restore(const DirectoryRecord& record) {
  const auto parent = BySerial(record.parent);
  if (!parent) return Fail(Errc::kCorrupt, "node log: a directory in none");
  if (auto child = parent->RestoreChild(record.index, record.serial); !child) return child;
  const std::string path = parent->ChildPath(record.index);  // Its lock comes before ours.
  MutexLock lock(mutex_);
  if (MakeDirectory(path, parent->origin()) == record.serial) return {};
  return Fail(Errc::kCorrupt, "node log: directories out of order");
}

Result<void> OriginTree::Restore(const EntriesRecord& record) {
  const auto directory = BySerial(record.serial);
  if (!directory) return Fail(Errc::kCorrupt, "node log: entries of no directory");
  return directory->Restore(record.first, record.entries);
}

void OriginTree::Ensure(const std::shared_ptr<Directory>& directory, Done<void> done) {
  if (!directory->Ensure(Clock::now(), std::move(done))) return;
  MutexLock lock(mutex_);
  if (std::ranges::find(waiting_, directory) == waiting_.end()) waiting_.push_back(directory);
  waiting_changed_.NotifyOne();
}

Node OriginTree::NodeOf(std::uint32_t serial, std::uint32_t index, const Directory::Item& item,
                        std::chrono::milliseconds valid_for) {
  const bool is_file = item.kind == fetch::Entry::Kind::kFile;
  return {.id = NodeId{.manifest = serial, .index = index}.Pack(),
          .kind = is_file ? Node::Kind::kFile : Node::Kind::kDirectory,
          .size_bytes = item.size_bytes,
          .modified = item.modified,
          .valid_for = valid_for};
}

Node OriginTree::SourceNode(std::size_t index) const {
  return {.id = NodeId{.manifest = 0, .index = static_cast<std::uint32_t>(index)}.Pack(),
          .kind = Node::Kind::kDirectory,
          .size_bytes = 0,
          .modified = created_,
          .valid_for = kSourceTtl};
}

Result<Node> OriginTree::LookupSource(std::string_view name) const {
  MutexLock lock(mutex_);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].gone && slots_[i].source.name == name) return SourceNode(i + 1);
  }
  return Fail(Errc::kNotFound, fmt::format("{}: no such source", name));
}

std::vector<DirectoryEntry> OriginTree::ReadRoot(std::uint64_t from, std::size_t limit) const {
  std::vector<DirectoryEntry> entries;
  MutexLock lock(mutex_);
  for (std::size_t i = from; i < slots_.size() && entries.size() < limit; ++i) {
    if (!slots_[i].gone) entries.push_back({slots_[i].source.name, i + 1, SourceNode(i + 1)});
  }
  return entries;
}

void OriginTree::Lookup(std::uint64_t parent, std::string_view name, Done<Node> done) {
  if (parent == kRootId) return done(LookupSource(name));
  auto directory = DirectoryOf(parent);
  if (!directory) return done(std::unexpected(std::move(directory.error())));
  Ensure(*directory,
         [self = weak_from_this(), parent, directory = *directory, name = std::string(name),
          done = std::move(done)](Result<void> listed) mutable {
           if (!listed) return done(std::unexpected(std::move(listed.error())));
           if (const auto tree = self.lock()) tree->NoteLook(parent, *directory);
           auto index = directory->Find(name);
           auto item = index ? directory->At(*index) : std::nullopt;
           if (!item) return done(Fail(Errc::kNotFound, fmt::format("{}: no such file", name)));
           done(NodeOf(directory->serial(), *index, *item, directory->ValidFor(Clock::now())));
         });
}

Result<Node> OriginTree::Get(std::uint64_t id) {
  if (id == kRootId) {
    return Node{.id = kRootId,
                .kind = Node::Kind::kDirectory,
                .size_bytes = 0,
                .modified = created_,
                .valid_for = kForever};
  }
  const NodeId node = NodeId::Unpack(id);
  if (node.manifest == 0) {
    MutexLock lock(mutex_);
    if (node.index == 0 || node.index > slots_.size()) return NoSuchNode(id);
    return SourceNode(node.index);
  }
  auto directory = BySerial(node.manifest);
  if (!directory) return NoSuchNode(id);
  auto item = directory->At(node.index);
  if (!item) return NoSuchNode(id);
  return NodeOf(node.manifest, node.index, *item, directory->ValidFor(Clock::now()));
}

void OriginTree::Read(std::uint64_t directory_id, std::uint64_t from, std::size_t limit,
                      Done<std::vector<DirectoryEntry>> done) {
  if (directory_id == kRootId) return done(ReadRoot(from, limit));
  auto directory = DirectoryOf(directory_id);
  if (!directory) return done(std::unexpected(std::move(directory.error())));
  auto slice = [directory = *directory, from, limit] {
    const auto valid_for = directory->ValidFor(Clock::now());
    std::vector<DirectoryEntry> entries;
    for (auto& [index, item] : directory->Slice(static_cast<std::uint32_t>(from), limit)) {
      Node node = NodeOf(directory->serial(), index, item, valid_for);
      entries.push_back({std::move(item.name), std::uint64_t{index} + 1, node});
    }
    return entries;
  };
  // A directory being read goes on with the listing it began with.
  if (from > 0) return done(slice());
  Ensure(*directory, [slice = std::move(slice), done = std::move(done)](Result<void> ok) mutable {
    if (!ok) return done(std::unexpected(std::move(ok.error())));
    done(slice());
  });
}

Result<OriginTree::Place> OriginTree::FileAt(std::uint64_t id) {
  const NodeId node = NodeId::Unpack(id);
  auto directory = BySerial(node.manifest);
  if (!directory || id == kRootId) return NoSuchNode(id);
  auto item = directory->At(node.index);
  if (!item) return NoSuchNode(id);
  if (item->kind != fetch::Entry::Kind::kFile) {
    return Fail(Errc::kInvalid, fmt::format("{}: not a file", item->name));
  }
  return Place{std::move(directory), std::move(*item)};
}

Result<fetch::ObjectId> OriginTree::Identity(std::uint64_t file) {
  auto place = FileAt(file);
  if (!place) return std::unexpected(std::move(place.error()));
  return IdentityOf(*place->directory, place->item);
}

Result<std::shared_ptr<fetch::Origin>> OriginTree::OriginOf(std::uint64_t file) {
  auto place = FileAt(file);
  if (!place) return std::unexpected(std::move(place.error()));
  return place->directory->origin();
}

fetch::ObjectId OriginTree::IdentityOf(const Directory& directory, const Directory::Item& item) {
  return directory.origin()->Pin(directory.path(), AtOrigin(item));
}

Result<std::shared_ptr<index::CachedObject>> OriginTree::Open(std::uint64_t file) {
  auto place = FileAt(file);
  if (!place) return std::unexpected(std::move(place.error()));
  auto object =
      options_.cache->Get(IdentityOf(*place->directory, place->item), place->directory->origin());
  const NodeId node = NodeId::Unpack(file);
  const bool small = place->item.size_bytes <= ScanAhead::kSmallBytes;
  if (small && scans_.NoteOpen(node.manifest, node.index, Clock::now())) {
    FetchNeighbours(*place->directory);
  }
  NoteShard(place->directory, place->item, object);
  return object;
}

std::chrono::milliseconds OriginTree::NegativeTtl(std::uint64_t directory_id) {
  if (directory_id == kRootId) return kSourceTtl;
  auto directory = DirectoryOf(directory_id);
  return directory ? (*directory)->ValidFor(Clock::now()) : std::chrono::milliseconds(0);
}

Result<std::string> OriginTree::ReadLink(std::uint64_t id) {
  return Fail(Errc::kInvalid, fmt::format("node {}: not a symbolic link", id));
}

Tree::Totals OriginTree::Listed() const {
  std::vector<std::shared_ptr<Directory>> directories;
  std::vector<Source> sources = Sources();
  {
    MutexLock lock(mutex_);
    directories = directories_;
  }
  Totals totals;
  for (const auto& directory : directories) {
    if (std::ranges::find(sources, directory->origin(), &Source::origin) == sources.end()) continue;
    const auto [files, bytes] = directory->Totals();
    totals.files += files;
    totals.bytes += bytes;
  }
  return totals;
}

std::optional<std::vector<fetch::ObjectId>> OriginTree::ListedFiles(std::string_view name) const {
  const auto sources = Sources();
  const auto source = std::ranges::find(sources, name, &Source::name);
  if (source == sources.end()) return std::nullopt;
  std::vector<std::shared_ptr<Directory>> directories;
  {
    MutexLock lock(mutex_);
    directories = directories_;
  }
  bool listed = false;
  std::vector<fetch::ObjectId> files;
  for (const auto& directory : directories) {
    if (directory->origin() != source->origin) continue;
    listed = listed || directory->Listed();
    for (const auto& [index, item] : directory->Slice(0, std::numeric_limits<std::size_t>::max())) {
      if (item.kind != fetch::Entry::Kind::kFile) continue;
      files.push_back(IdentityOf(*directory, item));
    }
  }
  if (!listed) return std::nullopt;
  return files;
}

}  // namespace modelfs::fs
