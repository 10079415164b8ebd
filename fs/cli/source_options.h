#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fs/config/environment.h"
#include "fs/config/settings.h"

namespace CLI {
class App;
}

namespace modelfs::fs {

/// The options that mount and doctor share: sources and how to reach them, the file, and every
/// setting of the file.
class SourceOptions {
 public:
  /// Adds the options to `command`; the values live as long as the returned object.
  /// A bad value ends the parsing, with the flag in the message.
  static std::shared_ptr<SourceOptions> Define(CLI::App& command);

  /// The flags as settings: how to reach a source applies to all --source.
  /// Errors: kInvalid: such a flag and no --source.
  Result<Settings> Flags() const;
  const std::optional<std::string>& config_file() const { return config_file_; }
  /// All of this, for a process that has to read the configuration again.
  ConfigOrigin Remember(const Environment& env) const;

 private:
  std::optional<std::string> config_file_;
  std::vector<std::string> sources_;
  SourceSettings reach_;    ///< What --endpoint and the like say.
  std::string reach_flag_;  ///< One of those that were given.
  Settings settings_;
  ConfigOrigin::Texts given_;        ///< Flags of settings_ as they were written.
  ConfigOrigin::Texts reach_given_;  ///< Of reach_.
};

}  // namespace modelfs::fs
