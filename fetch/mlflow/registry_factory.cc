#include "fetch/mlflow/registry_factory.h"

#include <fmt/format.h>

#include "fetch/base/percent.h"
#include "fetch/mlflow/artifact_uri.h"
#include "fetch/mlflow/mlflow_registry.h"

namespace modelfs::fetch {

Result<std::shared_ptr<Registry>> MakeRegistry(FetchContext& context,
                                               const MlflowSettings& settings,
                                               const OriginSettings& storage) {
  for (const std::string& uri : {settings.tracking_uri, settings.registry_uri}) {
    const std::string scheme = UriScheme(uri);
    if (scheme == "http" || scheme == "https" || (uri.empty() && !settings.tracking_uri.empty())) {
      continue;
    }
    return Fail(Errc::kInvalid, fmt::format("'{}' is no MLflow server: write http(s)://HOST[:PORT]",
                                            Printable(uri)));
  }
  MlflowRegistry::Options options{
      .settings = settings,
      .http = {.transport = &context.transport(),
               .timer = &context.timer(),
               .budget = context.BudgetFor(settings.tracking_uri),
               .random = context.random()},
      .storage_ca_bundle = storage.ca_bundle,
      .open_storage = nullptr,
      .storage_is_a_guess = storage.credentials.kind == CredentialSettings::Kind::kInstance};
  options.open_storage = [&context, storage](const std::string& uri) {
    return MakeOrigin(context, uri, storage);
  };
  return std::make_shared<MlflowRegistry>(std::move(options));
}

}  // namespace modelfs::fetch
