#include "fs/daemon/known_reports.h"

#include <utility>

#include "fs/daemon/status_report.h"

namespace modelfs::fs {
namespace {

/// For people, too.
std::string Text(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

void KnownReports::Status(Done<std::string> done) {
  options_.pool->Post(
      [status = options_.status, done = std::move(done)]() mutable { done(Text(status())); });
}

void KnownReports::Progress(std::move_only_function<Result<ListedVersion>()> version,
                            Done<std::string> done) {
  options_.pool->Post(
      [cache = options_.cache, version = std::move(version), done = std::move(done)]() mutable {
        auto listed = version();
        if (!listed) return done(std::unexpected(std::move(listed.error())));
        done(Text(DescribeVersion(*listed, *cache)));
      });
}

}  // namespace modelfs::fs
