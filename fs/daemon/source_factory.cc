#include "fs/daemon/source_factory.h"

#include <fmt/format.h>

#include <utility>

#include "fetch/mlflow/registry_factory.h"
#include "fetch/origin_factory.h"
#include "fs/config/origin_settings.h"

namespace modelfs::fs {

std::string DescribeSourceName(const std::string& name, const std::string& uri) {
  if (name.empty()) return fmt::format("source {}", uri);
  return fmt::format("source '{}' ({})", name, uri);
}

Result<Tree::Source> MakeSource(fetch::FetchContext& context, const SourceSpec& spec) {
  Tree::Source source{
      .name = spec.name, .origin = nullptr, .registry = nullptr, .models = spec.models};
  const auto failed = [&](const Error& error) {
    return Fail(error.code,
                fmt::format("{}: {}", DescribeSourceName(spec.name, spec.uri), error.what));
  };
  if (spec.uri.starts_with("mlflow:")) {
    fetch::MlflowSettings mlflow = spec.mlflow;
    mlflow.proxy = spec.proxy;
    auto registry = fetch::MakeRegistry(context, mlflow, ToOriginSettings(spec));
    if (!registry) return failed(registry.error());
    source.registry = *std::move(registry);
  } else {
    auto origin = fetch::MakeOrigin(context, spec.uri, ToOriginSettings(spec));
    if (!origin) return failed(origin.error());
    source.origin = *std::move(origin);
  }
  return source;
}

}  // namespace modelfs::fs
