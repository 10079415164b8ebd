#include "fs/cli/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "fetch/base/size.h"
#include "fs/cli/command.h"
#include "fs/cli/json_field.h"
#include "fs/cli/text_table.h"
#include "fs/config/duration.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;

std::string Shown(const json& object, const char* key) { return Printable(TextField(object, key)); }

std::string Size(const json& object, const char* key) {
  return FormatSize(NumberField(object, key));
}

/// "1.2 GiB of 3.4 GiB (35%)"; without a listing there is no total.
std::string CachedOfTotal(const json& source) {
  const auto total = MaybeNumber(source, "total_bytes");
  const std::uint64_t cached = NumberField(source, "cached_bytes");
  if (!total) return "not listed yet";
  const std::uint64_t percent =
      *total == 0 ? 100 : cached * 100 / std::max<std::uint64_t>(*total, 1);
  return fmt::format("{} of {} ({}%)", FormatSize(cached), FormatSize(*total), percent);
}

std::string Mounts(const json& mounts, const std::optional<std::string>& only) {
  TextTable table({"MOUNT", "SOURCE", "URI", "CACHED", "FILES", "WAITING"});
  for (const auto& mount : mounts) {
    if (only && TextField(mount, "mountpoint") != *only) continue;
    std::string mountpoint = Shown(mount, "mountpoint");
    std::string waiting = fmt::to_string(NumberField(mount, "parked_requests"));
    for (const auto& source : ChildField(mount, "sources")) {
      const auto files = MaybeNumber(source, "files");
      table.Add({mountpoint, Shown(source, "name"), Shown(source, "uri"), CachedOfTotal(source),
                 files ? fmt::to_string(*files) : "-", waiting});
      mountpoint.clear();
      waiting.clear();
    }
  }
  return table.Text();
}

std::string Head(const json& status) {
  const bool healthy = ChildField(status, "healthy") == true;
  const std::string problem = Shown(status, "problem");
  const std::chrono::seconds uptime(NumberField(status, "uptime_seconds"));
  std::string health = healthy ? "healthy" : "UNHEALTHY";
  if (!problem.empty()) health += ": " + problem;
  return fmt::format("modelfs {}, pid {}, up {}, {}\n", Shown(status, "version"),
                     NumberField(status, "pid"), FormatDuration(uptime), health);
}

std::string Cache(const json& cache) {
  std::string text =
      fmt::format("cache {}: {} in {} objects, {} free, {}\n", Shown(cache, "directory"),
                  Size(cache, "cached_bytes"), NumberField(cache, "objects"),
                  Size(cache, "filesystem_free_bytes"), Shown(cache, "io_backend"));
  if (const auto chunk = NumberField(cache, "chunk_size_bytes"); chunk > 0) {
    const auto limit = NumberField(cache, "limit_bytes");
    text += fmt::format(
        "room: {} on disk of {}, {} of it pinned; {} to stay free; chunks of {}\n",
        Size(cache, "allocated_bytes"), limit == 0 ? "no limit" : "at most " + FormatSize(limit),
        Size(cache, "pinned_bytes"), Size(cache, "free_floor_bytes"), FormatSize(chunk));
  }
  if (const auto n = NumberField(cache, "quarantined_chunks"); n > 0) {
    text += fmt::format("damaged chunks found and set aside: {}\n", n);
  }
  if (const auto n = NumberField(cache, "uncached_writes"); n > 0) {
    text +=
        fmt::format("chunks served but not kept, because the disk would not take them: {}\n", n);
  }
  return text;
}

/// What became of configuration files that changed; nothing where all is well.
std::string Configs(const json& mounts, const std::optional<std::string>& only) {
  std::string text;
  for (const auto& mount : mounts) {
    if (only && TextField(mount, "mountpoint") != *only) continue;
    const json config = ChildField(mount, "config");
    if (const std::string problem = Shown(config, "problem"); !problem.empty()) {
      text += fmt::format("configuration not taken: {}\n", problem);
    }
    std::string keys;
    for (const auto& key : ChildField(config, "restart_needed")) {
      if (key.is_string()) keys += (keys.empty() ? "" : ", ") + Printable(key.get<std::string>());
    }
    if (!keys.empty()) {
      text += fmt::format("changed, but only from the next mount on: {}\n", keys);
    }
  }
  return text;
}

/// How much at a time, where the kernel says so.
std::string InPieces(const json& mount) {
  const std::uint64_t kb = NumberField(mount, "read_ahead_kb");
  return kb == 0 ? "" : fmt::format(" in pieces of {}", FormatSize(kb * 1024));
}

/// Who reads whole files.
std::string Passthrough(const json& mounts, const std::optional<std::string>& only) {
  std::string text;
  for (const auto& mount : mounts) {
    const std::string mountpoint = TextField(mount, "mountpoint");
    const json passthrough = ChildField(mount, "passthrough");
    if ((only && mountpoint != *only) || !passthrough.is_object()) continue;
    const std::string why = Shown(passthrough, "why_not");
    text += why.empty() ? fmt::format("whole files below {}: read by the kernel itself ({} now)\n",
                                      Printable(mountpoint), NumberField(passthrough, "files"))
                        : fmt::format("whole files below {}: read through modelfs{}: {}\n",
                                      Printable(mountpoint), InPieces(mount), why);
  }
  return text;
}

std::string Downloads(const json& cache) {
  return fmt::format("downloads: {} in flight, {}/s; {} in {} requests so far\n",
                     NumberField(cache, "fetches_in_flight"), Size(cache, "fetch_bytes_per_second"),
                     Size(cache, "fetched_bytes"), NumberField(cache, "fetch_requests"));
}

std::string Jobs(const json& jobs) {
  std::string text;
  for (const auto& job : jobs) {
    if (TextField(job, "state") != "running") continue;
    text += fmt::format("job {}: {} {} of {}\n", NumberField(job, "id"), Shown(job, "kind"),
                        Size(job, "bytes_done"), Size(job, "bytes_total"));
  }
  return text;
}

}  // namespace

std::string StatusText(const json& status, const std::optional<std::string>& mountpoint) {
  const json cache = ChildField(status, "cache");
  std::string text = Head(status) + Cache(cache) +
                     Mounts(ChildField(status, "mounts"), mountpoint) +
                     Configs(ChildField(status, "mounts"), mountpoint) +
                     Passthrough(ChildField(status, "mounts"), mountpoint) + Downloads(cache) +
                     Jobs(ChildField(status, "jobs"));
  return text;
}

}  // namespace modelfs::fs
