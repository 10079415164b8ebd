#include "fs/daemon/source_check.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

#include "fetch/base/mutex.h"
#include "fs/daemon/source_factory.h"

namespace modelfs::fs {
namespace {

/// Shared with the probes, which may answer after nobody waits any more.
struct Answers {
  explicit Answers(std::size_t count) : results(count), missing(count) {}
  Mutex mutex;
  CondVar changed;
  std::vector<std::optional<Result<void>>> results GUARDED_BY(mutex);
  std::size_t missing GUARDED_BY(mutex);
};

std::string Name(const Tree::Source& source) {
  return DescribeSourceName(source.name, source.Describe());
}

}  // namespace

Result<void> CheckSources(const std::vector<Tree::Source>& sources,
                          std::chrono::milliseconds deadline, const std::stop_token& stop) {
  // Probes keep the deadline themselves; this is for one that does not.
  const auto until = std::chrono::steady_clock::now() + deadline + std::chrono::seconds(1);
  auto answers = std::make_shared<Answers>(sources.size());
  for (std::size_t i = 0; i < sources.size(); ++i) {
    auto answer = [answers, i](Result<void> result) {
      MutexLock lock(answers->mutex);
      answers->results[i] = std::move(result);
      --answers->missing;
      answers->changed.NotifyAll();
    };
    if (sources[i].registry) {
      sources[i].registry->Probe(deadline, std::move(answer));
    } else {
      sources[i].origin->Probe(deadline, std::move(answer));
    }
  }
  const std::stop_callback wake(stop, [&] {
    MutexLock lock(answers->mutex);
    answers->changed.NotifyAll();
  });
  MutexLock lock(answers->mutex);
  bool in_time = true;
  while (answers->missing > 0 && in_time && !stop.stop_requested()) {
    in_time = answers->changed.WaitUntil(answers->mutex, until);
  }
  if (stop.stop_requested()) return Fail(Errc::kCancelled, "the daemon is ending");
  std::optional<Error> failure;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto& result = answers->results[i];
    if (result && *result) continue;
    const Error error = result ? result->error() : Error{Errc::kTimeout, "no answer in time"};
    std::string text = fmt::format("{}: {}", Name(sources[i]), error.what);
    if (failure) {
      failure->what += "; " + text;
    } else {
      failure = Error{error.code, std::move(text)};
    }
  }
  if (failure) return std::unexpected(*std::move(failure));
  return {};
}

}  // namespace modelfs::fs
