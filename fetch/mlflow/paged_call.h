#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fetch/base/error.h"
#include "fetch/mlflow/mlflow_client.h"

namespace modelfs::fetch {

/// Asks for all pages of a list, one after the other; `take` gets each. Tokens are opaque.
/// Errors: as MlflowClient::Get; kCorrupt when a page names itself as the next, or there is no end.
void GetPages(const std::shared_ptr<MlflowClient>& client, const std::string& path,
              const MlflowClient::Query& query,
              std::move_only_function<void(const nlohmann::json& page)> take, Done<void> done);

}  // namespace modelfs::fetch
