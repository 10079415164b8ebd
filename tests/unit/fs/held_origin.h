#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/origin.h"

namespace modelfs::test {

/// An origin whose listings are answered when the test says so; it has no bytes to read.
/// Threads: any; completions run on the thread that calls Answer.
class HeldOrigin final : public fetch::Origin {
 public:
  /// `source` is part of the identities of its objects.
  explicit HeldOrigin(std::string source = "s3:held") : source_(std::move(source)) {}
  std::string Describe() const override { return "s3://held"; }

  void List(std::string directory, Done<fetch::Listing> done) override {
    MutexLock lock(mutex_);
    asked_.push_back(directory);
    auto ready = ready_.find(directory);
    if (ready != ready_.end()) {
      fetch::Listing listing = ready->second;
      lock.Unlock();
      return done(std::move(listing));
    }
    held_.push_back(std::move(done));
  }

  fetch::ObjectId Pin(std::string_view directory, const fetch::Entry& entry) const override {
    return {"domain", source_, std::string(directory) + entry.name, entry.tag, entry.size_bytes};
  }

  void Read(const fetch::ObjectId&, ByteRange, std::shared_ptr<fetch::BodySink>,
            Done<void> done) override {
    done(Fail(Errc::kTransient, "HeldOrigin has no bytes"));
  }

  void Probe(std::chrono::milliseconds, Done<void> done) override { done({}); }

  /// Drops what is held: it may hold us.
  void Forget() {
    std::deque<Done<fetch::Listing>> held;
    MutexLock lock(mutex_);
    held.swap(held_);
  }
  /// Answers the oldest listing that is held; false when there is none.
  bool Answer(Result<fetch::Listing> listing) {
    MutexLock lock(mutex_);
    if (held_.empty()) return false;
    auto done = std::move(held_.front());
    held_.pop_front();
    lock.Unlock();
    done(std::move(listing));
    return true;
  }
  /// From now on `directory` is answered at once.
  void Set(const std::string& directory, fetch::Listing listing) {
    MutexLock lock(mutex_);
    ready_[directory] = std::move(listing);
  }
  std::vector<std::string> asked() const {
    MutexLock lock(mutex_);
    return asked_;
  }

 private:
  const std::string source_;
  mutable Mutex mutex_;
  std::vector<std::string> asked_ GUARDED_BY(mutex_);
  std::deque<Done<fetch::Listing>> held_ GUARDED_BY(mutex_);
  std::map<std::string, fetch::Listing> ready_ GUARDED_BY(mutex_);
};

inline fetch::Entry FileEntry(std::string name, std::uint64_t size, std::string tag) {
  return {.name = std::move(name),
          .kind = fetch::Entry::Kind::kFile,
          .size_bytes = size,
          .modified = {},
          .tag = std::move(tag)};
}
inline fetch::Entry DirectoryEntry(std::string name) {
  return {.name = std::move(name),
          .kind = fetch::Entry::Kind::kDirectory,
          .size_bytes = 0,
          .modified = {},
          .tag = {}};
}

}  // namespace modelfs::test
