#pragma once

#include <sys/types.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/error.h"

namespace modelfs::fs {

/// Where a mount's configuration came from: what it takes to read it again in another process. The
/// environment is that of the `modelfs mount` that was called; it may hold secrets.
struct ConfigOrigin {
  using Texts = std::vector<std::pair<std::string, std::string>>;  ///< Key of the file, value.

  std::string file;                  ///< Absolute; empty: none.
  Texts flags = {};                  ///< Flags that were given, in order; paths absolute.
  std::vector<std::string> sources;  ///< Of --source, as written.
  Texts reach = {};                  ///< Flags that say how to reach those.
  std::map<std::string, std::string> environment;
  std::string home;
  uid_t uid = 0;
  gid_t gid = 0;
  bool leads = false;  ///< The daemon was made for this mount, so that its settings hold for it.

  /// False: nobody said; it cannot be read again.
  bool known() const { return !file.empty() || !sources.empty(); }
};

nlohmann::json ToJson(const ConfigOrigin& origin);
/// Errors: kInvalid.
Result<ConfigOrigin> ConfigOriginFromJson(const nlohmann::json& json);

}  // namespace modelfs::fs
