#pragma once

#include <string>
#include <string_view>

#include "fetch/http/retrying_client.h"

namespace modelfs::fetch {

/// What an answer of an MLflow server says that is no success. All fields may be empty: besides
/// MLflow's own document there are {"detail": ...} (FastAPI), HTML (Flask, proxies) and plain text.
struct MlflowError {
  std::string code;     ///< "RESOURCE_DOES_NOT_EXIST"
  std::string message;  ///< Cut to some 200 bytes, printable.
};

/// Never fails.
MlflowError ParseMlflowError(const HttpResponse& response);

/// Whether a missing thing is a 5xx: routes for artifacts answer 500 where the file is not there.
enum class MlflowRoute : std::uint8_t { kApi, kArtifact };

/// How a status outside 2xx is taken. `operation`: what was tried; `server`: "http://host:5000".
HttpVerdict JudgeMlflowStatus(std::string_view operation, std::string_view server,
                              const HttpResponse& response, MlflowRoute route);

}  // namespace modelfs::fetch
