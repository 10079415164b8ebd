#include "index/core.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

namespace modelfs::index {

void Problems::Note(std::string_view event, const Error& error) {
  std::string text = fmt::format("{}: {}", event, error.what);
  {
    const MutexLock lock(mutex_);
    if (text == last_) return;
    last_ = text;
  }
  spdlog::warn("{} code={} what=\"{}\"", event, ToString(error.code), error.what);
}

Core::Core(LocalTier tier_in, FaultPoints* faults_in, Timer* timer)
    : tier(std::move(tier_in)),
      faults(faults_in != nullptr ? faults_in : &no_faults),
      link(tier.chunk_size_bytes()),
      hedger(std::make_shared<Hedger>(timer)),
      summer(std::make_unique<TaskThread>("sums")),
      planner(std::make_unique<TaskThread>("plan")),
      sealer(std::make_unique<TaskThread>("seal")),
      opener(std::make_shared<TaskThread>("open")) {}

}  // namespace modelfs::index
