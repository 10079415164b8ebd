#include "fs/cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/cli/command.h"

namespace modelfs::fs {
namespace {

struct CommandEntry {
  const char* name;
  const char* help;
  CommandBody (*define)(CLI::App&);
  bool hidden = false;
};

constexpr std::array kCommands = {
    CommandEntry{"mount", "Mount sources; returns when the mount answers", &DefineMount},
    CommandEntry{"umount", "Unmount, and wait until its daemon has let go", &DefineUmount},
    CommandEntry{"status", "Show mounts, cache and downloads", &DefineStatus},
    CommandEntry{"ensure",
                 "Make the model of the start script's variables readable; print its path",
                 &DefineEnsure},
    CommandEntry{"warm", "Download everything below paths into the cache", &DefineWarm},
    CommandEntry{"pin", "Keep cached bytes below paths from eviction", &DefinePin},
    CommandEntry{"unpin", "Let them be evicted again", &DefineUnpin},
    CommandEntry{"evict", "Remove cached bytes below paths", &DefineEvict},
    CommandEntry{"verify", "Check cached bytes against their checksums", &DefineVerify},
    CommandEntry{"profile", "Share between machines what loads want first", &DefineProfile},
    CommandEntry{"upgrade", "Hand live mounts over to this program", &DefineUpgrade},
    CommandEntry{"hold", "Keep mounts alive while the container that serves them is replaced",
                 &DefineHold},
    CommandEntry{"doctor", "Find out what would not work here, and how to mend it", &DefineDoctor},
    CommandEntry{"version", "Print the version", &DefineVersion},
    CommandEntry{"worker", "", &DefineWorker, true},
    CommandEntry{"supervise", "", &DefineSupervise, true},
};

constexpr const char* kAbout =
    "modelfs: mount models from S3 or a directory; bytes are downloaded when they are read, and "
    "kept.";
constexpr const char* kExamples =
    "Examples:\n"
    "  modelfs mount --source s3://bucket/models /mnt/models\n"
    "  modelfs mount --source m=s3://bucket --endpoint http://minio:9000 /mnt/models\n"
    "  modelfs warm /mnt/models/m/llama   # all of it, now\n"
    "  modelfs umount /mnt/models\n"
    "Exit codes: 0 done, 1 failed, 2 usage.";

/// Help as a page of one column for names and one for what they mean.
class Help : public CLI::Formatter {
 public:
  Help() {
    column_width(36);
    label("OPTIONS", "OPTION");
    label("SUBCOMMAND", "COMMAND");
    label("Positionals", "Arguments");
  }
  /// Groups of options are set apart by two blank lines; one will do.
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    std::string text = CLI::Formatter::make_help(app, std::move(name), mode);
    for (std::size_t at = 0; (at = text.find("\n\n\n", at)) != std::string::npos;) {
      text.erase(at, 1);
    }
    return text;
  }
  /// Only what the value is called: needs, defaults and counts are in the descriptions.
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string type = option->get_positional() ? "" : option->get_type_name();
    const bool many = option->get_positional() && option->get_expected_max() > 1;
    return (type.empty() ? "" : " " + type) + (many ? "..." : "");
  }
  std::string make_option_usage(const CLI::Option* option) const override {
    const std::string name = option->get_name(true) + (option->get_expected_max() > 1 ? "..." : "");
    return option->get_required() ? name : "[" + name + "]";
  }
};

/// The words of CLI11 where they read badly.
std::string Explain(const CLI::ParseError& error) {
  std::string text = error.what();
  static constexpr std::string_view kUnexpected[] = {"The following argument was not expected: ",
                                                     "The following arguments were not expected: "};
  for (const auto prefix : kUnexpected) {
    if (text.starts_with(prefix)) return "unknown argument: " + text.substr(prefix.size());
  }
  return text;
}

bool IsCommand(std::string_view word) {
  return std::ranges::any_of(kCommands, [&](const auto& entry) { return entry.name == word; });
}

int UsageError(Io& io, const std::string& command, const std::string& what) {
  io.err << fmt::format("{}: {}\nTry '{} --help'.", command, Printable(what), command) << '\n'
         << std::flush;
  return kExitUsage;
}

}  // namespace

int Run(int argc, const char* const* argv, const Environment& env, Io& io) {
  CLI::App app(kAbout, "modelfs");
  app.formatter(std::make_shared<Help>());
  app.set_help_flag("-h,--help", "Print this help");
  app.set_version_flag("--version", "modelfs " MODELFS_VERSION, "Print the version");
  app.footer(kExamples);
  app.require_subcommand(0, 1);

  std::vector<std::pair<CLI::App*, CommandBody>> commands;
  for (const auto& entry : kCommands) {
    CLI::App* const command = app.add_subcommand(entry.name, entry.help);
    command->footer("");
    command->group(entry.hidden ? "" : "Commands");
    commands.emplace_back(command, entry.define(*command));
  }

  // An unknown first word is a mistyped command, not an argument too many.
  if (argc > 1 && argv[1][0] != '-' && !IsCommand(argv[1])) {
    return UsageError(io, "modelfs", fmt::format("no command '{}'", argv[1]));
  }
  const CLI::App* chosen = nullptr;
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {
    app.exit(request, io.out, io.err);
    return kExitDone;
  } catch (const CLI::ParseError& error) {
    const auto parsed = app.get_subcommands();
    return UsageError(io, parsed.empty() ? "modelfs" : "modelfs " + parsed.front()->get_name(),
                      Explain(error));
  }
  if (const auto parsed = app.get_subcommands(); !parsed.empty()) chosen = parsed.front();
  for (const auto& [command, body] : commands) {
    if (command != chosen) continue;
    const std::string name = command->get_name();
    return body(CommandContext{.name = name, .env = env, .io = io});
  }
  return UsageError(io, "modelfs", "a command is missing");
}

}  // namespace modelfs::fs
