#pragma once

#include <memory>
#include <string>

#include "fetch/base/error.h"
#include "fetch/mlflow/mlflow_client.h"

namespace modelfs::fetch {

/// Where to ask: names at the registry, runs and logged models at the tracking server. Mostly one.
struct MlflowServers {
  std::shared_ptr<MlflowClient> registry;
  std::shared_ptr<MlflowClient> tracking;
};

/// Where the artifacts of version `number` of `model` lie, resolved through "models:/" and "runs:/"
/// until it is a place: "s3://...", "mlflow-artifacts:/...", a path. At most 5 steps.
/// Source: MLflow's ModelsArtifactRepository and RunsArtifactRepository.
/// Errors: as MlflowClient::Get; kInvalid (a URI that makes no sense, or that leads in a circle).
void ResolveVersion(MlflowServers servers, const std::string& model, const std::string& number,
                    Done<std::string> done);

}  // namespace modelfs::fetch
