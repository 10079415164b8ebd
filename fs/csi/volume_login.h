#pragma once

#include <string>

#include "fs/csi/csi_error.h"
#include "fs/csi/volume_spec.h"

namespace modelfs::fs {

/// Who a volume's bytes are fetched as: from the pod's service account, or from a secret. Holds
/// secrets: never logged, never in argv.
struct VolumeLogin {
  std::string name_space;       ///< Of the pod; empty where Kubernetes does not say.
  std::string service_account;  ///< Of the pod.
  std::string principal;        ///< Who that is to the origin, for people: "key AKIA…", "user x".
  std::string access_key_id;    ///< Of S3, also behind MLflow.
  std::string secret_access_key;
  std::string session_token;
  std::string user;  ///< Of MLflow or a web server; with `password`.
  std::string password;
  std::string token;    ///< Bearer; of S3: for role_arn.
  std::string ca_cert;  ///< PEM.

  /// Volumes with one domain share a daemon and what it has cached; others share nothing. Stays the
  /// same while tokens and passwords change.
  std::string Domain() const;
};

/// Errors: kInvalidArgument, naming the attribute or the key of the secret that is missing or makes
/// no sense; kUnauthenticated: the token has expired.
CsiResult<VolumeLogin> FindLogin(const VolumeSpec& spec, const StringMap& attributes,
                                 const StringMap& secrets);

}  // namespace modelfs::fs
