#pragma once

#include <fmt/format.h>

#include <deque>
#include <string>
#include <utility>

#include "fs/tree/mount_reports.h"

namespace modelfs::test {

/// Reports that count how often they were made, or wait until the test answers them. Threads: one
/// at a time.
class FakeReports final : public fs::MountReports {
 public:
  std::string Version() const override { return "1.2.3"; }
  void Status(Done<std::string> done) override {
    if (holding) {
      held.push_back(std::move(done));
      return;
    }
    done(fmt::format("status {}\n", ++made));
  }
  void Progress(std::move_only_function<Result<fs::ListedVersion>()> version,
                Done<std::string> done) override {
    auto listed = version();
    if (!listed) return done(std::unexpected(std::move(listed.error())));
    const auto& files = listed->files;
    done(fmt::format("{} {}: {} files", listed->model, listed->number,
                     files ? std::to_string(files->size()) : "unknown"));
  }

  int made = 0;
  bool holding = false;
  std::deque<Done<std::string>> held;
};

}  // namespace modelfs::test
