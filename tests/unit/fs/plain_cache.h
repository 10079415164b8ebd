#pragma once

#include <utility>
#include <vector>

#include "index/cache.h"
#include "tests/unit/fs/fake_record_store.h"

namespace modelfs::test {

/// What a fake cache needs beside objects: limits, pins and evictions that do nothing, and records.
class PlainCache : public index::Cache {
 public:
  void Repair(std::vector<index::RepairItem> items,
              std::move_only_function<bool(std::uint64_t)> progress,
              Done<index::VerifyReport> done) override {
    std::vector<fetch::ObjectId> ids;
    for (index::RepairItem& item : items) ids.push_back(std::move(item.id));
    Verify(std::move(ids), std::move(progress), std::move(done));
  }
  void SetLimits(index::CacheLimits) override {}
  void Pin(std::vector<fetch::ObjectId>, Done<void> done) override { done({}); }
  void Unpin(std::vector<fetch::ObjectId>, Done<void> done) override { done({}); }
  void Evict(std::vector<fetch::ObjectId>, Done<index::EvictReport> done) override {
    done(index::EvictReport{});
  }
  index::RecordStore& records() override { return records_; }

 private:
  FakeRecordStore records_;
};

}  // namespace modelfs::test
