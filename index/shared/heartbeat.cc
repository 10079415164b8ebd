#include "index/shared/heartbeat.h"

#include <algorithm>
#include <utility>

namespace modelfs::index::shared {

Result<void> Heartbeat::Beat(std::chrono::milliseconds younger) {
  {
    const MutexLock lock(mutex_);
    if (beaten_ && Clock::now() - here_ < younger) return {};
  }
  auto touched = files_->Touch("i/" + instance_);
  if (!touched && touched.error().code == Errc::kNotFound) {
    if (auto made = files_->MakeFolder("i"); !made) return made;
    touched = files_->Touch("i/" + instance_);
  }
  if (!touched) return std::unexpected(std::move(touched.error()));
  const MutexLock lock(mutex_);
  beaten_ = true;
  server_ns_ = *touched;
  here_ = Clock::now();  // After: an answer that takes long makes others look younger, not dead.
  return {};
}

Result<std::chrono::milliseconds> Heartbeat::AgeOf(const std::string& instance) {
  const auto facts = files_->Look("i/" + instance);
  const bool gone = !facts && facts.error().code == Errc::kNotFound;
  if (!facts && !gone) return std::unexpected(facts.error());
  // What is not there may not show yet.
  const auto age =
      gone ? Result<std::chrono::milliseconds>(std::chrono::hours(24)) : Since(facts->modified_ns);
  const Clock::time_point now = Clock::now();
  const MutexLock lock(mutex_);
  const Seen seen{.modified_ns = gone ? -1 : facts->modified_ns, .since = now};
  const auto [it, fresh] = seen_.try_emplace(instance, seen);
  if (it->second.modified_ns != seen.modified_ns) it->second = seen;
  const auto watched =
      std::chrono::duration_cast<std::chrono::milliseconds>(now - it->second.since);
  if (!age) return watched;
  return watched >= kWatched ? *age : std::min(*age, watched);
}

Result<std::chrono::milliseconds> Heartbeat::Since(std::int64_t time_ns) {
  // An extrapolation over hours would trust our own clock.
  if (auto beat = Beat(std::chrono::minutes(1)); !beat) return std::unexpected(beat.error());
  const MutexLock lock(mutex_);
  const std::int64_t now =
      server_ns_ +
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - here_).count();
  return std::chrono::milliseconds(std::max<std::int64_t>(0, now - time_ns) / 1'000'000);
}

}  // namespace modelfs::index::shared
