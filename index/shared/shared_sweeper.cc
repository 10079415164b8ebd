#include "index/shared/shared_sweeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace modelfs::index::shared {
namespace {

constexpr std::chrono::hours kForget{24};

/// The names in a folder; none where it cannot be read now.
std::vector<std::string> NamesIn(SharedFiles& files, const std::string& path) {
  return files.List(path).value_or(std::vector<std::string>());
}

}  // namespace

Result<SharedSweeper::Swept> SharedSweeper::Sweep() {
  auto begin = MayBegin();
  if (!begin) return std::unexpected(std::move(begin.error()));
  Swept swept;
  if (!*begin) return swept;
  RemoveLeftOvers();
  std::vector<Object> objects = Objects();
  std::ranges::sort(objects, std::greater(), &Object::idle);
  for (const Object& object : objects) swept.kept_bytes += object.bytes;
  std::uint64_t excess = Excess(swept.kept_bytes);
  for (const Object& object : objects) {
    if (excess == 0 || stop_ || object.idle < options_.unused) break;
    if (!Remove(object)) continue;
    ++swept.objects;
    swept.bytes += object.bytes;
    swept.kept_bytes -= object.bytes;
    excess -= std::min(excess, object.bytes);
  }
  return swept;
}

/// Two may come through here at once; that costs a sweep.
Result<bool> SharedSweeper::MayBegin() {
  const auto last = files_->Look("i/sweep");
  if (last) {
    auto age = heartbeat_.Since(last->modified_ns);
    if (!age) return std::unexpected(std::move(age.error()));
    if (*age < options_.interval) return false;
  } else if (last.error().code != Errc::kNotFound) {
    return std::unexpected(last.error());
  }
  if (auto made = files_->MakeFolder("i"); !made) return std::unexpected(std::move(made.error()));
  if (auto touched = files_->Touch("i/sweep"); !touched) {
    return std::unexpected(std::move(touched.error()));
  }
  return true;
}

std::vector<SharedSweeper::Object> SharedSweeper::Objects() {
  std::vector<Object> objects;
  for (const std::string& domain : NamesIn(*files_, "d")) {
    for (const std::string& prefix : NamesIn(*files_, "d/" + domain)) {
      const std::string folder = "d/" + domain + "/" + prefix;
      for (const std::string& oid : NamesIn(*files_, folder)) {
        if (stop_) return objects;
        objects.push_back(Measure(folder + "/" + oid));
      }
    }
  }
  return objects;
}

/// All segments but the last have one size: one is looked at.
SharedSweeper::Object SharedSweeper::Measure(std::string path) {
  const auto segments = NamesIn(*files_, path + "/s");
  std::uint64_t bytes = 0;
  if (!segments.empty()) {
    const auto facts = files_->Look(path + "/s/" + segments.front());
    bytes = (facts ? facts->size_bytes : 0) * segments.size();
  }
  const auto idle = IdleOf(path);
  RemoveClaims(path, segments);
  return {.path = std::move(path), .bytes = bytes, .idle = idle};
}

/// Those whose segment was published long ago, and those that nothing came of.
void SharedSweeper::RemoveClaims(const std::string& path,
                                 const std::vector<std::string>& segments) {
  for (const std::string& claim : NamesIn(*files_, path + "/k")) {
    const std::string segment = claim.substr(0, claim.find('.'));
    const bool published = std::ranges::find(segments, segment) != segments.end();
    const std::string what = published ? "/s/" + segment : "/k/" + claim;
    if (AgeOf(path + what) < (published ? options_.settled : options_.left_over)) continue;
    std::ignore = files_->Unlink(path + "/k/" + claim);
  }
}

/// Since it was used, or a segment of it published; nothing when that cannot be told.
std::chrono::milliseconds SharedSweeper::IdleOf(const std::string& path) {
  std::int64_t newest = 0;
  for (const std::string& user : NamesIn(*files_, path + "/u")) {
    if (const auto facts = files_->Look(path + "/u/" + user)) {
      newest = std::max(newest, facts->modified_ns);
    }
  }
  if (const auto facts = files_->Look(path + "/s")) newest = std::max(newest, facts->modified_ns);
  if (const auto facts = files_->Look(path + "/k")) newest = std::max(newest, facts->modified_ns);
  if (newest == 0) return {};
  return heartbeat_.Since(newest).value_or(std::chrono::milliseconds(0));
}

std::uint64_t SharedSweeper::Excess(std::uint64_t held) {
  std::uint64_t excess = 0;
  const auto space = files_->Space();
  std::uint64_t limit = options_.limit;
  if (options_.limit_is_percent) limit = space ? space->total_bytes / 100 * options_.limit : 0;
  // A tenth below, so that it is not done for each segment.
  if (limit != 0 && held > limit) excess = held - limit / 10 * 9;
  if (space && space->free_bytes < options_.free_bytes) {
    excess = std::max(excess, options_.free_bytes - space->free_bytes);
  }
  return excess;
}

bool SharedSweeper::Remove(const Object& object) {
  if (IdleOf(object.path) < options_.unused) return false;  // Somebody came meanwhile.
  // Segments first: what is left of it after an error is found again.
  for (const char* folder : {"/s", "/k", "/u"}) RemoveIn(object.path + folder);
  std::ignore = files_->Unlink(object.path + "/meta");
  const auto removed = files_->RemoveFolder(object.path);
  spdlog::info("shared.evicted object={} bytes={} idle_s={} whole={}", object.path, object.bytes,
               object.idle.count() / 1000, removed.has_value());
  return true;
}

void SharedSweeper::RemoveIn(const std::string& folder) {
  for (const std::string& name : NamesIn(*files_, folder)) {
    std::ignore = files_->Unlink(folder + "/" + name);
  }
  std::ignore = files_->RemoveFolder(folder);
}

/// Since it was changed; nothing when that cannot be told.
std::chrono::milliseconds SharedSweeper::AgeOf(const std::string& path) {
  const auto facts = files_->Look(path);
  if (!facts) return {};
  return heartbeat_.Since(facts->modified_ns).value_or(std::chrono::milliseconds(0));
}

void SharedSweeper::RemoveLeftOvers() {
  for (const std::string& name : NamesIn(*files_, "t")) {
    if (AgeOf("t/" + name) >= options_.left_over) std::ignore = files_->Unlink("t/" + name);
  }
  for (const std::string& name : NamesIn(*files_, "q")) {
    if (AgeOf("q/" + name) >= options_.quarantine) std::ignore = files_->Unlink("q/" + name);
  }
  for (const std::string& name : NamesIn(*files_, "i")) {
    if (AgeOf("i/" + name) >= kForget) std::ignore = files_->Unlink("i/" + name);
  }
}

}  // namespace modelfs::index::shared
