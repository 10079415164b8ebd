#pragma once

#include "fs/config.h"
#include "fs/config/config_origin.h"
#include "fs/config/environment.h"

namespace modelfs::fs {

/// Notes in `origin` what of `env` a later LoadAgain may need: the variables of AWS's and MLflow's
/// clients, of proxies and certificates, and ours.
void RememberEnvironment(const Environment& env, ConfigOrigin& origin);

/// LoadConfig as `modelfs mount` did it, with the file as it is now.
/// Errors: as LoadConfig.
Result<Config> LoadAgain(const ConfigOrigin& origin);

}  // namespace modelfs::fs
