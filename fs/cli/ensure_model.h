#pragma once

#include <string>

#include "fetch/base/error.h"
#include "fs/config/environment.h"

namespace modelfs::fs {

/// What `modelfs ensure` is asked for by the start script's variables (facts/start-script.md).
struct WantedModel {
  std::string local_path;  ///< LOCAL_MODEL_PATH, absolute.
  std::string name;        ///< MLFLOW_MODEL_NAME, raw.
  std::string version;     ///< MLFLOW_MODEL_VERSION: a number, "latest" or "@alias".
};

/// Errors: kInvalid, naming every variable that is missing or makes no sense.
Result<WantedModel> ReadWantedModel(const Environment& env);

/// Finds `wanted` below the mount at `mountpoint`, follows latest and aliases, and lists its files,
/// which makes its manifest known. Returns the path of the version, which has its number in it.
/// Blocks on the mount. Errors: kNotFound, with what there is instead; others as FromErrno.
Result<std::string> FindModel(const std::string& mountpoint, const WantedModel& wanted);

}  // namespace modelfs::fs
