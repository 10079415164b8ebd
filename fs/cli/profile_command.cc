#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "fetch/base/small_file.h"
#include "fs/cli/command.h"
#include "fs/cli/daemon_paths.h"
#include "fs/cli/job_follower.h"
#include "fs/cli/json_field.h"
#include "index/profile_file.h"

// profile export and profile import: what the loads of one machine have shown, for others.

namespace modelfs::fs {
namespace {

using index::ProfileFile;

struct ProfileOptions {
  std::vector<std::string> paths;
  std::string output;
  std::string file;
  std::string mountpoint;
};

/// Runs the job, and adds what it found to `all`. Returns what failed.
std::optional<Error> Gather(const DaemonPaths& target, const CommandContext& context,
                            ProfileFile& all) {
  ControlClient client(target.socket_path);
  auto id = client.StartJob(JobKind::kExportProfiles, target.paths);
  if (!id) return id.error();
  auto job = FollowJob(client, *id, context);
  if (!job) return job.error();
  if (TextField(*job, "state") != "done") return Error{Errc::kIo, TextField(*job, "error")};
  auto output = client.JobOutput(*id);
  if (!output) return output.error();
  auto file = ProfileFile::Decode(*output);
  if (!file) return file.error();
  std::ranges::move(file->profiles, std::back_inserter(all.profiles));
  return std::nullopt;
}

/// Whole or not at all.
Result<void> WriteFile(const std::string& path, const std::string& bytes) {
  const std::string fresh = fmt::format("{}.new", path);
  {
    std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) return FailErrno(errno, fmt::format("write {}", fresh));
  }
  if (std::rename(fresh.c_str(), path.c_str()) != 0) {
    return FailErrno(errno, fmt::format("rename {} to {}", fresh, path));
  }
  return {};
}

int Export(const ProfileOptions& options, const CommandContext& context) {
  if (options.output.empty() && context.io.terminal) {
    return context.Complain(kExitUsage, "a profile is no text: name a file, -o FILE");
  }
  auto groups = GroupByDaemon(options.paths, context);
  if (!groups) return context.Complain(kExitFailed, groups.error().what);
  ProfileFile all;
  // Progress goes to the same stream as the result.
  std::ofstream nowhere;
  Io silent{.out = nowhere,
            .err = context.io.err,
            .terminal = false,
            .columns = context.io.columns,
            .poll_interval = context.io.poll_interval};
  const CommandContext inner{.name = context.name, .env = context.env, .io = silent};
  for (const auto& group : *groups) {
    if (auto error = Gather(group, inner, all)) return context.Complain(kExitFailed, error->what);
  }
  const std::string bytes = all.Encode();
  if (options.output.empty()) {
    context.io.out << bytes << std::flush;
    return context.io.out ? kExitDone : context.Complain(kExitFailed, "the output is not taken");
  }
  if (auto written = WriteFile(options.output, bytes); !written) {
    return context.Complain(kExitFailed, written.error().what);
  }
  context.io.out << fmt::format("{}: {} profiles written to {}", context.name, all.profiles.size(),
                                Printable(options.output))
                 << '\n'
                 << std::flush;
  return kExitDone;
}

Result<ProfileFile> ReadProfileFile(const std::string& path) {
  const auto bytes = ReadSmallFile(path, ProfileFile::kMostBytes);
  if (!bytes) return std::unexpected(bytes.error());
  auto file = ProfileFile::Decode(*bytes);
  if (!file) return Fail(file.error().code, fmt::format("{}: {}", path, file.error().what));
  return file;
}

/// In pieces that the control socket takes.
Result<std::uint64_t> Send(ControlClient& client, const ProfileFile& file) {
  constexpr std::size_t kSlack = 64;  // What is around the profiles.
  std::uint64_t kept = 0;
  ProfileFile part;
  std::size_t bytes = kSlack;
  const auto flush = [&]() -> Result<void> {
    auto sent = client.ImportProfiles(part.Encode());
    if (!sent) return std::unexpected(sent.error());
    kept += *sent;
    part.profiles.clear();
    bytes = kSlack;
    return {};
  };
  for (const index::NamedProfile& named : file.profiles) {
    const std::size_t more = named.name.size() + named.profile.Encode().size() + kSlack;
    if (bytes + more > ControlClient::kMostProfileBytes) {
      if (auto ok = flush(); !ok) return std::unexpected(ok.error());
    }
    part.profiles.push_back(named);
    bytes += more;
  }
  if (auto ok = flush(); !ok) return std::unexpected(ok.error());
  return kept;
}

int Import(const ProfileOptions& options, const CommandContext& context) {
  auto file = ReadProfileFile(options.file);
  if (!file) return context.Complain(kExitFailed, file.error().what);
  const auto chosen = ChooseDaemons(context.env, options.mountpoint);
  if (!chosen) return context.Complain(kExitFailed, chosen.error().what);
  for (const DaemonInfo& daemon : chosen->daemons) {
    ControlClient client(daemon.socket_path);
    const auto kept = Send(client, *file);
    if (!kept) return context.Complain(kExitFailed, kept.error().what);
    context.io.out << fmt::format("{}: {}: {} profiles kept", context.name, CacheDirectory(daemon),
                                  *kept)
                   << '\n'
                   << std::flush;
  }
  return kExitDone;
}

}  // namespace

CommandBody DefineProfile(CLI::App& command) {
  auto options = std::make_shared<ProfileOptions>();
  command.require_subcommand(1);
  CLI::App* const out = command.add_subcommand(
      "export", "Write down the order in which loads have read the files below PATH");
  out->add_option("PATH", options->paths, "Files and directories below mounts")->required();
  out->add_option("-o,--output", options->output, "Where to; default: standard output")
      ->type_name("FILE");
  CLI::App* const in =
      command.add_subcommand("import", "Let first loads here follow what was written down there");
  in->add_option("FILE", options->file, "What export has written")->required();
  in->add_option("MOUNTPOINT", options->mountpoint,
                 "A mount of the daemon that is to know it; default: all daemons of yours");
  command.footer(
      "A profile holds for files of exactly the same name and size, and says only what to fetch "
      "first.\nWhat a load on this machine has shown goes before it.");
  return [options, out](const CommandContext& context) {
    return out->parsed() ? Export(*options, context) : Import(*options, context);
  };
}

}  // namespace modelfs::fs
