#pragma once

#include <string_view>

namespace modelfs::fetch {

// Words of VersionManifest::route. They are kept in caches: a change here makes those manifests
// unreadable, which costs their listing anew.

inline constexpr std::string_view kDirectRoute = "direct";  ///< The storage, by our credentials.
inline constexpr std::string_view kProxyRoute = "proxy";    ///< The server's artifact proxy.
inline constexpr std::string_view kServedRoute = "served";  ///< /model-versions/get-artifact
/// "run ID PATH": as kServedRoute, or by URLs that the server signs for what is below PATH of a
/// run.
inline constexpr std::string_view kRunRoute = "run ";

inline constexpr std::string_view kProxiedArtifacts = "/api/2.0/mlflow-artifacts/artifacts";
inline constexpr std::string_view kProxiedPresigned = "/api/2.0/mlflow-artifacts/presigned";

}  // namespace modelfs::fetch
