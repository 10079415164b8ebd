#include "fs/tree/shards_ahead.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace modelfs::fs {
namespace {

constexpr std::string_view kIndexEnd = ".index.json";
/// A loader closes one shard before it opens the next.
constexpr std::chrono::seconds kBetweenReaders{3};
constexpr std::size_t kMostReaders = 256;

bool IsIndexOf(std::string_view index, std::string_view shard) {
  const std::string_view kind = shard.ends_with(".safetensors") ? ".safetensors" : ".bin";
  return index.ends_with(kIndexEnd) &&
         index.substr(0, index.size() - kIndexEnd.size()).ends_with(kind);
}

bool IsShard(std::string_view name) {
  return name.ends_with(".safetensors") || name.ends_with(".bin");
}

}  // namespace

/// The shards of one folder, on their way. Callbacks know it weakly: it lives with the ShardsAhead.
class ShardsAhead::Run : public std::enable_shared_from_this<Run> {
 public:
  explicit Run(std::shared_ptr<index::Cache> cache) : cache_(std::move(cache)) {}

  void AddReader(const std::shared_ptr<index::CachedObject>& object) {
    const MutexLock lock(mutex_);
    last_reader_ = Clock::now();
    std::erase_if(readers_, [](const auto& reader) { return reader.expired(); });
    if (readers_.size() < kMostReaders) readers_.push_back(object);
  }

  /// Reads the indexes of the folder for one that names `name`, then goes through the others. On
  /// the `plan` thread, as is Restart.
  void Begin(const std::string& name, const std::vector<File>& files) {
    for (const File& index : files) {
      if (!IsIndexOf(index.name, name)) continue;
      auto object = cache_->Get(index.id, index.origin);
      index::CachedObject& asked = *object;
      asked.Siblings([weak = weak_from_this(), object = std::move(object), name,
                      files](const std::vector<std::string>& shards) {
        const auto self = weak.lock();
        if (!self || std::ranges::find(shards, name) == shards.end()) return;
        self->SetShards(name, shards, files);
        self->Restart();
      });
    }
  }

  /// Whether an index was found that names `name`.
  bool Knows(const std::string& name) const {
    const MutexLock lock(mutex_);
    return std::ranges::find(names_, name) != names_.end();
  }

  /// Goes through the shards, those that are whole passed over.
  void Restart() {
    {
      const MutexLock lock(mutex_);
      position_ = 0;
      ++turn_;
    }
    Step();
  }

 private:
  /// Those of `shards` that are in the folder: behind `name` first, then those before it.
  void SetShards(const std::string& name, const std::vector<std::string>& shards,
                 const std::vector<File>& files) {
    std::vector<File> found;
    std::ptrdiff_t behind = 0;
    for (const std::string& shard : shards) {
      if (shard == name) {
        behind = std::ssize(found);
        continue;
      }
      const auto file = std::ranges::find(files, shard, &File::name);
      if (file != files.end()) found.push_back(*file);
    }
    std::ranges::rotate(found, found.begin() + behind);
    const MutexLock lock(mutex_);
    names_ = shards;
    shards_ = std::move(found);
  }

  void Step() {
    for (;;) {
      File shard;
      std::uint64_t turn = 0;
      {
        const MutexLock lock(mutex_);
        if (position_ >= shards_.size()) return;
        shard = shards_[position_];
        turn = turn_;
      }
      const auto known = cache_->Find(shard.id);
      if (!known || !known->whole) {
        auto object = cache_->Get(shard.id, shard.origin);
        index::CachedObject& ahead = *object;
        return ahead.WhenLoaded([weak = weak_from_this(), object = std::move(object), turn] {
          if (const auto self = weak.lock()) self->Want(*object, turn);
        });
      }
      Pass(turn);
    }
  }

  void Pass(std::uint64_t turn) {
    const MutexLock lock(mutex_);
    if (turn == turn_) ++position_;
  }

  void Want(index::CachedObject& object, std::uint64_t turn) {
    const auto asked = [weak = weak_from_this(), turn] {
      const auto self = weak.lock();
      if (!self) return;
      self->Pass(turn);
      self->Step();
    };
    const auto wanted = [weak = weak_from_this()] {
      const auto self = weak.lock();
      return self && self->HasReaders();
    };
    const bool room = object.WantAhead(StillToCome(object), {.wanted = wanted, .asked = asked});
    spdlog::debug("shards.ahead object={} room={}", object.id().Describe(), room);
  }

  /// What the readers' own shards, and those that were asked for, lack yet, but for `object`.
  std::uint64_t StillToCome(const index::CachedObject& object) {
    std::vector<std::shared_ptr<index::CachedObject>> readers;
    std::vector<fetch::ObjectId> asked;
    {
      const MutexLock lock(mutex_);
      for (std::size_t i = 0; i < std::min(position_, shards_.size()); ++i) {
        asked.push_back(shards_[i].id);
      }
      for (const auto& weak : readers_) {
        auto reader = weak.lock();
        const bool known = std::ranges::find(readers, reader) != readers.end();
        if (reader && reader.get() != &object && !known) readers.push_back(std::move(reader));
      }
    }
    std::uint64_t bytes = 0;
    for (const auto& reader : readers) {
      bytes += reader->id().size_bytes - reader->Status().cached_bytes;
      std::erase(asked, reader->id());
    }
    for (const fetch::ObjectId& id : asked) {
      const auto known = cache_->Find(id);
      bytes += id.size_bytes - (known ? known->cached_bytes : 0);
    }
    return bytes;
  }

  bool HasReaders() {
    const MutexLock lock(mutex_);
    const bool any =
        std::ranges::any_of(readers_, [](const auto& reader) { return !reader.expired(); });
    if (any) last_reader_ = Clock::now();
    return Clock::now() - last_reader_ < kBetweenReaders;
  }

  const std::shared_ptr<index::Cache> cache_;
  mutable Mutex mutex_;
  std::vector<std::weak_ptr<index::CachedObject>> readers_ GUARDED_BY(mutex_);
  Clock::time_point last_reader_ GUARDED_BY(mutex_){};
  std::vector<std::string> names_ GUARDED_BY(mutex_);  ///< Of the index; empty: not known.
  std::vector<File> shards_ GUARDED_BY(mutex_);        ///< Those to be fetched, in order.
  std::size_t position_ GUARDED_BY(mutex_) = 0;        ///< Of the one that is being asked for.
  std::uint64_t turn_ GUARDED_BY(mutex_) = 0;  ///< What an earlier one has to say is too late.
};

bool ShardsAhead::IsOfInterest(std::string_view name) {
  return IsShard(name) || IsIndexOf(name, ".safetensors") || IsIndexOf(name, ".bin");
}

void ShardsAhead::Opened(std::string key, std::string_view name,
                         const std::shared_ptr<index::CachedObject>& object, Folder folder) {
  if (!IsShard(name)) return;
  {
    const MutexLock lock(mutex_);
    if (const auto run = runs_.find(key); run != runs_.end()) run->second->AddReader(object);
  }
  object->WhenTaken([weak = weak_from_this(), reader = std::weak_ptr(object), key = std::move(key),
                     name = std::string(name), folder = std::move(folder)] {
    const auto self = weak.lock();
    const auto still = reader.lock();
    if (self && still) self->Taken(key, name, still, folder);
  });
}

void ShardsAhead::Taken(const std::string& key, const std::string& name,
                        const std::shared_ptr<index::CachedObject>& reader, const Folder& folder) {
  std::shared_ptr<Run> run;
  {
    const MutexLock lock(mutex_);
    if (runs_.size() >= kMostRuns && !runs_.contains(key)) runs_.erase(runs_.begin());
    auto& slot = runs_[key];
    if (!slot) slot = std::make_shared<Run>(cache_);
    run = slot;
  }
  run->AddReader(reader);
  if (run->Knows(name)) return run->Restart();
  run->Begin(name, folder());
}

}  // namespace modelfs::fs
