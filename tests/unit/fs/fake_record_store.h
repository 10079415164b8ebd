#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "index/record_store.h"

namespace modelfs::test {

/// A record store in memory that works. Threads: any.
class FakeRecordStore final : public index::RecordStore {
 public:
  Result<void> Put(index::RecordKind kind, std::string_view key, std::string value) override {
    MutexLock lock(mutex_);
    if (value.size() > kMaxValueBytes) return Fail(Errc::kInvalid, "too large");
    ++puts_;
    records_[{kind, std::string(key)}] = std::move(value);
    return {};
  }
  void Erase(index::RecordKind kind, std::string_view key) override {
    MutexLock lock(mutex_);
    records_.erase({kind, std::string(key)});
  }
  std::optional<std::string> Get(index::RecordKind kind, std::string_view key) const override {
    MutexLock lock(mutex_);
    const auto found = records_.find({kind, std::string(key)});
    if (found == records_.end()) return std::nullopt;
    return found->second;
  }
  std::vector<std::string> Keys(index::RecordKind kind, std::string_view prefix) const override {
    MutexLock lock(mutex_);
    std::vector<std::string> keys;
    for (const auto& [key, value] : records_) {
      if (key.first == kind && key.second.starts_with(prefix)) keys.push_back(key.second);
    }
    return keys;
  }

  std::size_t puts() const {
    MutexLock lock(mutex_);
    return puts_;
  }

 private:
  static constexpr std::size_t kMaxValueBytes = 64u << 20;
  mutable Mutex mutex_;
  std::map<std::pair<index::RecordKind, std::string>, std::string> records_ GUARDED_BY(mutex_);
  std::size_t puts_ GUARDED_BY(mutex_) = 0;
};

}  // namespace modelfs::test
