#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "fetch/base/error.h"
#include "fetch/credentials/credential_settings.h"
#include "fetch/http/proxy.h"

namespace modelfs::fs {

// The JSON of what a SourceSpec says of keys and proxies; see fs/spec.h.

nlohmann::json CredentialsToJson(const fetch::CredentialSettings& credentials);
/// `path` names the object in errors. Errors: kInvalid.
Result<fetch::CredentialSettings> CredentialsFromJson(const nlohmann::json& json,
                                                      const std::string& path);

nlohmann::json ProxyToJson(const fetch::ProxySettings& proxy);
Result<fetch::ProxySettings> ProxyFromJson(const nlohmann::json& json, const std::string& path);

}  // namespace modelfs::fs
