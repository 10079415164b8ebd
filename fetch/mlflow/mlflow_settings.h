#pragma once

#include <string>

#include "fetch/http/proxy.h"

namespace modelfs::fetch {

/// Where an MLflow server is and who we are there. Plain values; may hold secrets.
struct MlflowSettings {
  std::string tracking_uri;  ///< "http://mlflow:5000[/prefix]", no user information.
  std::string registry_uri;  ///< Empty: the tracking server's.
  std::string username;      ///< With `password`: Basic, which wins over `token`.
  std::string password;
  std::string token;  ///< Bearer.
  /// Files that hold "user:password", or a token: looked at for each request, so that they may
  /// change. Either wins over all of the above; not both.
  std::string auth_file;
  std::string token_file;
  std::string workspace;           ///< Empty: no header, which servers without workspaces want.
  std::string ca_bundle;           ///< PEM file, or a folder of certificates; empty: the system's.
  std::string client_certificate;  ///< PEM file with certificate and key; empty: none.
  bool insecure_tls = false;       ///< Take any certificate.
  ProxySettings proxy;             ///< Also on the way to presigned URLs.
};

}  // namespace modelfs::fetch
