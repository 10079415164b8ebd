#pragma once

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "fs/tree/tree.h"
#include "tests/unit/fetch/fake_timer.h"
#include "tests/unit/fs/held_cache.h"

namespace modelfs::test {

/// Part of a fixture: trees of one process after another, each of which goes on with the numbers of
/// those before.
class TreeSuccession {
 protected:
  std::shared_ptr<fs::Tree> First() { return fs::Tree::Create(Options(nodes_)); }
  Result<std::shared_ptr<fs::Tree>> Next() {
    return fs::Tree::Resume(Options(*fs::NodeLog::Adopt(*nodes_->Share())));
  }

  FakeTimer timer_;
  std::shared_ptr<fs::NodeLog> nodes_ = *fs::NodeLog::Create();
  std::vector<fs::Tree::Source> sources_;
  std::chrono::milliseconds listing_ttl_{std::chrono::minutes(1)};
  std::shared_ptr<fs::MountReports> reports_;

 private:
  fs::Tree::Options Options(std::shared_ptr<fs::NodeLog> nodes) {
    return {.sources = sources_,
            .cache = std::make_shared<HeldCache>(),
            .nodes = std::move(nodes),
            .listing_ttl = listing_ttl_,
            .timer = &timer_,
            .reports = reports_};
  }
};

}  // namespace modelfs::test
