#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fetch {

/// What stands behind "models:/", taken apart as MLflow's client does it.
struct ModelsUri {
  enum class Kind : std::uint8_t {
    kModelId,  ///< models:/m-1234
    kVersion,  ///< models:/name/7
    kAlias,    ///< models:/name@alias, split at the last '@'
    kLatest,   ///< models:/name/latest, in any case
    kStage,    ///< models:/name/Production
  };
  Kind kind = Kind::kModelId;
  std::string name;    ///< Of the registered model, or the model id.
  std::string suffix;  ///< Version, alias or stage.
  std::string path;    ///< Below it: models:/m-1234/code; "" for the whole.

  /// Errors: kInvalid.
  static Result<ModelsUri> Parse(std::string_view uri);
};

/// "runs:/<id>/path".
struct RunsUri {
  std::string run_id;
  std::string path;
  static Result<RunsUri> Parse(std::string_view uri);
};

/// "mlflow-artifacts:/path" or "mlflow-artifacts://host[:port]/path".
struct ProxiedUri {
  std::string authority;  ///< Empty: the tracking server's.
  std::string path;       ///< Without leading and doubled slashes, raw.
  static Result<ProxiedUri> Parse(std::string_view uri);
};

/// "s3", lower case; "" for a path.
std::string UriScheme(std::string_view uri);

/// `base` + "/" + `path`, with one slash between; `base` where `path` is empty.
std::string JoinPath(std::string_view base, std::string_view path);

/// "scheme://host[:port]" of a URL, lower case, without user information.
std::string UrlOrigin(std::string_view url);

/// Whether MLflow's artifact routes can serve `path`: they decode percent signs again and again,
/// and refuse '#', a backslash and what then has "..".
bool CanBeProxied(std::string_view path);

}  // namespace modelfs::fetch
