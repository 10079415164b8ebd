#include "fs/cli/ensure_copy.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>

#include "fetch/base/await.h"
#include "fetch/base/percent.h"
#include "fetch/base/size.h"
#include "fetch/fetch_context.h"
#include "fetch/mlflow/mlflow_json.h"
#include "fs/cli/progress_display.h"
#include "fs/config.h"
#include "fs/copy/copy_lock.h"
#include "fs/copy/staging.h"
#include "fs/copy/version_copy.h"
#include "fs/copy/wanted_version.h"
#include "fs/daemon/log.h"
#include "fs/daemon/mount_table.h"
#include "fs/daemon/source_check.h"
#include "fs/daemon/source_factory.h"
#include "fs/tree/registry_tree.h"

namespace modelfs::fs {
namespace {

using Kind = PlaceState::Kind;

/// As for a mount: a wrong name, key or address is told within ten seconds.
constexpr std::chrono::milliseconds kProbeLimit{8'000};
/// For all the lists of a version; each request keeps its own, shorter patience.
constexpr std::chrono::minutes kManifestLimit{10};

/// Where the copy of one version goes.
struct Place {
  std::string parent;  ///< "<LOCAL_MODEL_PATH>/<model>"
  std::string model;   ///< Raw.
  std::uint64_t number = 0;
  std::optional<std::int64_t> created_ms;  ///< Once the registry was asked.

  std::string name() const { return std::to_string(number); }
  std::string path() const { return fmt::format("{}/{}", parent, number); }
};

/// True: a whole copy is there. False: there is none. Errors: what is there is something else.
Result<bool> IsThere(const Place& place) {
  const std::string path = place.path();
  auto state = LookAtPlace(path, place.model, place.number, place.created_ms);
  if (!state) return std::unexpected(std::move(state.error()));
  switch (state->kind) {
    case Kind::kFree: return false;
    case Kind::kWhole: return true;
    case Kind::kForeign:
      return Fail(
          Errc::kIo,
          fmt::format("{} is there already, and was not made by 'ensure --copy' ({}): it may "
                      "be half a download; move it away or remove it, and run this again",
                      path, state->why));
    case Kind::kDamaged:
      return Fail(Errc::kIo, fmt::format("{} cannot be used any more ({}): remove it, and run "
                                         "this again",
                                         path, state->why));
  }
  return false;
}

Result<void> RefuseMount(const std::string& path) {
  const auto table = MountTable::Read();
  if (!table) return std::unexpected(table.error());
  const auto mounted = table->Find(path);
  if (!mounted || mounted->fs_type != kFsType) return {};
  return Fail(Errc::kInvalid,
              fmt::format("LOCAL_MODEL_PATH {} is a mount of modelfs, which needs no copies: leave "
                          "out --copy, or unmount it first",
                          path));
}

Result<SourceSpec> RegistrySource(const SourceOptions& options, const CommandContext& context) {
  auto flags = options.Flags();
  if (!flags) return std::unexpected(std::move(flags.error()));
  auto config = LoadConfig(*flags, options.config_file(), context.env);
  if (!config) return std::unexpected(std::move(config.error()));
  const auto found = std::ranges::find_if(config->mount.sources, [](const SourceSpec& source) {
    return source.uri.starts_with("mlflow:") && source.name.empty();
  });
  if (found != config->mount.sources.end()) return *found;
  return Fail(Errc::kInvalid,
              "no source is an MLflow server without a name: leave out --source, or give "
              "mlflow:http(s)://HOST[:PORT]");
}

/// Takes the lock of `place`, waiting for whoever has it; nullopt: the copy is there meanwhile.
Result<std::optional<CopyLock>> LockPlace(const Place& place, const CommandContext& context) {
  const std::string path = Staging::LockPath(place.parent, place.name());
  for (bool told = false;; told = true) {
    auto lock = CopyLock::TryAcquire(path);
    if (!lock) return lock;
    const bool taken = lock->has_value();
    auto there = IsThere(place);
    if (!there) return std::unexpected(std::move(there.error()));
    if (*there) return std::optional<CopyLock>();
    if (taken) return lock;
    if (!told) {
      context.io.out << fmt::format("{}: waiting for {}, which copies {}\n", context.name,
                                    Printable(CopyLock::Holder(path)), place.path())
                     << std::flush;
    }
    std::this_thread::sleep_for(context.io.poll_interval);
  }
}

Result<void> CheckRoom(const Place& place, const CopyList& list, const Staging& staging) {
  struct statvfs info{};
  if (::statvfs(place.parent.c_str(), &info) != 0) {
    return FailErrno(errno, "ask for the free space of " + place.parent);
  }
  std::uint64_t needed = list.bytes();
  for (const WrittenPiece& piece : staging.pieces()) {
    needed -= std::min(needed, piece.range.size());
  }
  const std::uint64_t free = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  if (needed <= free) return {};
  return Fail(Errc::kNoSpace, fmt::format("{} more are needed and {} are free at {}",
                                          FormatSize(needed), FormatSize(free), place.parent));
}

/// Requires: the lock of `place`, and nobody else who holds `registry`.
Result<void> Fill(std::shared_ptr<fetch::Registry> registry, const Place& place,
                  const fetch::ModelVersion& version, const CommandContext& context) {
  Await<fetch::VersionManifest> answer;
  registry->GetManifest(place.model, version, answer.done());
  auto manifest = answer.Wait(kManifestLimit);
  if (!manifest) return std::unexpected(std::move(manifest.error()));
  auto shared = std::make_shared<const fetch::VersionManifest>(*std::move(manifest));
  auto origin = registry->Open(shared);
  if (!origin) return std::unexpected(std::move(origin.error()));
  const CopyList list = ListForCopy(VersionFiles(shared, *origin));
  auto staging = Staging::Open(place.parent, place.name(), list.Identity());
  if (!staging) return std::unexpected(std::move(staging.error()));
  if (auto room = CheckRoom(place, list, *staging); !room) return room;
  const bool resumed = !staging->pieces().empty();

  ProgressDisplay display(context);
  Progress progress;
  const auto show = [&display, &progress](const VersionCopy::Count& count, bool last) {
    const auto now = Progress::Clock::now();
    progress.Update(now, {.bytes_done = count.bytes_done,
                          .bytes_total = count.bytes_total,
                          .files_done = count.files_done,
                          .files_total = count.files_total});
    display.Show(progress, now, last);
  };
  VersionCopy copy(
      {.origin = *std::move(origin),
       .registry = std::move(registry),
       .list = &list,
       .staging = &*staging,
       .on_progress = [&show](const VersionCopy::Count& count) { show(count, false); }});
  const auto count = copy.Run();
  if (!count) return std::unexpected(count.error());
  show(*count, true);
  if (auto published = staging->Publish(list); !published) return published;
  Staging::Remove(place.parent, place.name());
  context.io.out << fmt::format("{}: copied {} files, {}{}\n", context.name, count->files_total,
                                FormatSize(count->bytes_total),
                                resumed ? fmt::format(", of which {} were here from an earlier run",
                                                      FormatSize(count->bytes_total -
                                                                 std::min(count->bytes_total,
                                                                          count->bytes_fetched)))
                                        : "")
                 << std::flush;
  return {};
}

/// Says that there was nothing to do, and tidies up behind a run that was killed when it was done.
std::string AlreadyThere(const Place& place, const CommandContext& context) {
  std::error_code ignored;
  if (std::filesystem::exists(Staging::Path(place.parent, place.name()), ignored)) {
    const auto lock = CopyLock::TryAcquire(Staging::LockPath(place.parent, place.name()));
    if (lock && *lock) Staging::Remove(place.parent, place.name());
  }
  context.io.out << fmt::format("{}: {} is whole already\n", context.name, place.path())
                 << std::flush;
  return place.path();
}

}  // namespace

Result<std::string> CopyModel(const WantedModel& wanted, const SourceOptions& options,
                              const CommandContext& context) {
  const auto directory = ModelDirectoryName(wanted.name);
  if (!directory) {
    return Fail(Errc::kInvalid, fmt::format("model '{}': the name is too long", wanted.name));
  }
  if (auto refused = RefuseMount(wanted.local_path); !refused) {
    return std::unexpected(std::move(refused.error()));
  }
  Place place{.parent = fmt::format("{}/{}", wanted.local_path, *directory), .model = wanted.name};
  if (const auto number = fetch::ParseVersionNumber(wanted.version)) {
    // Versions never change: what is whole is right, also while the server is down.
    place.number = *number;
    auto there = IsThere(place);
    if (!there) return std::unexpected(std::move(there.error()));
    if (*there) return AlreadyThere(place, context);
  }
  auto spec = RegistrySource(options, context);
  if (!spec) return std::unexpected(std::move(spec.error()));
  SetUpLog("ensure", "warn");
  fetch::FetchContext fetch{fetch::FetchContext::Options{}};
  auto source = MakeSource(fetch, *spec);
  if (!source) return std::unexpected(std::move(source.error()));
  if (auto checked = CheckSources({*source}, kProbeLimit, std::stop_token()); !checked) {
    return std::unexpected(std::move(checked.error()));
  }
  std::shared_ptr<fetch::Registry> registry = std::move(source->registry);
  auto version = FindVersion(*registry, wanted.name, wanted.version);
  if (!version) return std::unexpected(std::move(version.error()));
  place.number = version->number;
  place.created_ms = version->created_ms;

  std::error_code error;
  std::filesystem::create_directories(place.parent, error);
  if (error) return FailErrno(error.value(), "make the folder " + place.parent);
  const auto lock = LockPlace(place, context);
  if (!lock) return std::unexpected(lock.error());
  if (!lock->has_value()) return AlreadyThere(place, context);
  if (auto filled = Fill(std::move(registry), place, *version, context); !filled) {
    return std::unexpected(std::move(filled.error()));
  }
  return place.path();
}

}  // namespace modelfs::fs
