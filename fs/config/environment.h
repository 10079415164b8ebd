#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace modelfs::fs {

/// Who runs this program and with which variables. The seam between configuration and the process,
/// so that tests need no setenv.
///
/// Threads: const methods from any thread, as long as nobody changes the process environment.
class Environment {
 public:
  virtual ~Environment() = default;
  /// The variable's value. Nullopt when it is unset or empty, which AWS clients treat alike.
  virtual std::optional<std::string> Get(std::string_view name) const = 0;
  /// Names of the variables that there are; none where nobody asks for them.
  virtual std::vector<std::string> Names() const { return {}; }
  /// Effective ids.
  virtual uid_t uid() const = 0;
  virtual gid_t gid() const = 0;
  /// $HOME, else the user database; empty when neither knows.
  virtual std::filesystem::path home() const = 0;
};

}  // namespace modelfs::fs
