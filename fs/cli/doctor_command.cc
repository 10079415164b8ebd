#include <CLI/CLI.hpp>
#include <algorithm>

#include "fs/cli/command.h"
#include "fs/cli/doctor/cache_checks.h"
#include "fs/cli/doctor/finding.h"
#include "fs/cli/doctor/machine_checks.h"
#include "fs/cli/doctor/source_checks.h"
#include "fs/cli/source_options.h"
#include "fs/config.h"

namespace modelfs::fs {
namespace {

Finding Failure(std::string subject, const Error& error) {
  return {Finding::Level::kFail, std::move(subject), error.what, ""};
}

/// Prints findings as they come, so that one that takes long does not hide the others.
class Report {
 public:
  explicit Report(Io& io) : io_(io) {}
  void Add(const Finding& finding) {
    io_.out << fmt::format("{:<5} {:<12} {}{}{}", ToString(finding.level), finding.subject,
                           finding.what, finding.mend.empty() ? "" : "; mend: ", finding.mend)
            << '\n'
            << std::flush;
    failures_ += finding.level == Finding::Level::kFail ? 1 : 0;
    warnings_ += finding.level == Finding::Level::kWarn ? 1 : 0;
  }
  void Add(const Findings& findings) {
    for (const auto& finding : findings) Add(finding);
  }
  int Finish() {
    if (failures_ + warnings_ == 0) {
      io_.out << "All is well." << '\n' << std::flush;
    } else {
      io_.out << fmt::format("Failed: {}, warnings: {}.", failures_, warnings_) << '\n'
              << std::flush;
    }
    return failures_ == 0 ? kExitDone : kExitFailed;
  }

 private:
  Io& io_;
  int failures_ = 0;
  int warnings_ = 0;
};

int Doctor(const SourceOptions& options, const CommandContext& context) {
  auto flags = options.Flags();
  if (!flags) return context.Complain(kExitUsage, flags.error().what);
  Report report(context.io);
  auto settings = MergeSettings(*flags, options.config_file());
  if (!settings) {
    report.Add(Failure("config", settings.error()));
    settings = *flags;
  }
  report.Add(CheckMachine(context.env, settings->io_backend.value_or(index::IoBackend::kAuto)));
  if (auto daemon = ResolveDaemon(*settings, context.env)) {
    report.Add(CheckCache(*daemon));
  } else {
    report.Add(Failure("cache", daemon.error()));
  }
  report.Add(CheckSourceSettings(*settings, context.env));
  return report.Finish();
}

}  // namespace

CommandBody DefineDoctor(CLI::App& command) {
  auto options = SourceOptions::Define(command);
  command.footer("Give it the options of your mount. Ends with 1 if any line says FAIL.");
  return [options](const CommandContext& context) { return Doctor(*options, context); };
}

}  // namespace modelfs::fs
