#pragma once

#include <memory>

#include "fetch/fetch_context.h"
#include "fetch/mlflow/mlflow_settings.h"
#include "fetch/origin_factory.h"
#include "fetch/registry.h"

namespace modelfs::fetch {

/// Makes the registry of an MLflow server. Sends nothing; see Registry::Probe. `storage`: how to
/// reach S3 where versions lie there; without credentials they are read through the server.
/// `context` outlives the registry.
/// Errors: kInvalid (no http(s) URL).
Result<std::shared_ptr<Registry>> MakeRegistry(FetchContext& context,
                                               const MlflowSettings& settings,
                                               const OriginSettings& storage);

}  // namespace modelfs::fetch
