#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fetch/base/error.h"
#include "fetch/mlflow/mlflow_settings.h"
#include "fs/config/environment.h"
#include "fs/config/settings.h"

namespace modelfs::fs {

/// Who we are at the MLflow server `address` ("http://host:5000"), found where MLflow's own client
/// looks, where `source` names no file with it: MLFLOW_TRACKING_USERNAME and _PASSWORD, each else
/// from ~/.mlflow/credentials, MLFLOW_TRACKING_TOKEN, the TLS variables, MLFLOW_WORKSPACE;
/// MLFLOW_REGISTRY_URI where `address` is $MLFLOW_TRACKING_URI. Reads that file and nothing else;
/// sends nothing. Errors: kInvalid (variables that contradict each other, a file that makes no
/// sense); kDenied (a kind of login that we do not know); others as FromErrno, for files that
/// cannot be read. Source: facts/mlflow-and-s3.md, section 3.
Result<fetch::MlflowSettings> ResolveMlflow(std::string_view address, const SourceSettings& source,
                                            const Environment& env);

/// $MLFLOW_TRACKING_URI without login and slashes at its end, and the login that stands in it.
struct TrackingUri {
  std::string address;
  std::string username;
  std::string password;
};
/// Nullopt: the variable is not set. Errors: kInvalid: it names no http(s) server.
Result<std::optional<TrackingUri>> TrackingUriOf(const Environment& env);

}  // namespace modelfs::fs
