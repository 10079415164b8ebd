#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fs/csi/csi_error.h"

namespace modelfs::fs {

/// What a volume shows, as its attributes say. No secrets. The attributes are the settings of
/// `modelfs mount` by their own names, and `model`, `version`, `audience`.
struct VolumeSpec {
  std::string source;   ///< "mlflow:http://…", "s3://…", "http(s)://…".
  std::string model;    ///< Of MLflow; empty: all models.
  std::string version;  ///< A number, "latest" or "@alias"; empty: all versions.
  std::string role_arn;
  std::string sts_endpoint;
  std::string audience;  ///< Of the service account's token; empty: the only one.
  bool anonymous = false;
  /// Flags of `modelfs mount` and their values, in the order of their names.
  std::vector<std::pair<std::string, std::string>> flags;

  bool IsMlflow() const { return source.starts_with("mlflow:"); }
  bool IsS3() const { return source.starts_with("s3://"); }
  /// Where its root lies in the mount: "" or "a/b", names as the mount shows them.
  std::string PathInMount() const;

  friend bool operator==(const VolumeSpec&, const VolumeSpec&) = default;
};

/// The name under which a source that is no registry appears at the root of its mount.
inline constexpr std::string_view kSourceName = "volume";

/// Kubernetes' own attributes are left alone.
/// Errors: kInvalidArgument, naming the attribute: unknown, missing, or of no sense.
CsiResult<VolumeSpec> ParseVolume(const StringMap& attributes);

nlohmann::json ToJson(const VolumeSpec& spec);
/// Nullopt: it was not made by ToJson.
std::optional<VolumeSpec> VolumeSpecFromJson(const nlohmann::json& json);

/// The first attribute in which two differ; "" where they do not.
std::string FirstDifference(const VolumeSpec& a, const VolumeSpec& b);

}  // namespace modelfs::fs
