#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fs/config/environment.h"
#include "fs/config/settings.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// This process's environment. Nothing else in the program reads it.
class ProcessEnvironment final : public Environment {
 public:
  std::optional<std::string> Get(std::string_view name) const override;
  std::vector<std::string> Names() const override;
  uid_t uid() const override;
  gid_t gid() const override;
  std::filesystem::path home() const override;
};

/// All that `modelfs mount` needs to know but the mount point, which stays empty.
struct Config {
  DaemonSpec daemon;
  MountSpec mount;
  std::vector<std::string> notes;  ///< For the user: what was set but does nothing yet.
};

// In all of these kInvalid means that somebody wrote something wrong in the file, a flag or a
// variable (exit code 2); any other code that what was written could not be had (exit code 1).

/// Reads `file`, if any, and lays `flags` over it: a flag wins over its key; sources of the command
/// line come after those of the file.
/// Errors: as ReadTomlFile.
Result<Settings> MergeSettings(const Settings& flags,
                               const std::optional<std::filesystem::path>& file);

/// Fills in the defaults of the cache, its memory and its control socket.
/// Errors: kInvalid, naming the setting.
Result<DaemonSpec> ResolveDaemon(const Settings& settings, const Environment& env);

/// Makes a source complete: URI and name checked, endpoint, region and credentials found.
/// Errors: kInvalid; kDenied (credentials missing, incomplete or of a kind that cannot be used yet,
/// naming the places looked in); kNotFound and others for a file that cannot be read.
Result<SourceSpec> ResolveSource(const SourceSettings& settings, const Environment& env);

/// MergeSettings and both of the above. Sources have different names, and there is one at least.
Result<Config> LoadConfig(const Settings& flags, const std::optional<std::filesystem::path>& file,
                          const Environment& env);

}  // namespace modelfs::fs
