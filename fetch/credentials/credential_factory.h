#pragma once

#include <memory>

#include "fetch/credentials/credential_settings.h"
#include "fetch/fetch_context.h"
#include "fetch/http/proxy.h"
#include "fetch/s3/credentials.h"

namespace modelfs::fetch {

/// The provider that `settings` describe. Sends and reads nothing yet. `context` outlives it; it
/// belongs to one origin, which stops it. `ca_bundle` and `proxy` are for STS.
/// Errors: kDenied (keys are missing), kInvalid (settings that cannot be).
Result<std::shared_ptr<CredentialsProvider>> MakeCredentials(FetchContext& context,
                                                             const CredentialSettings& settings,
                                                             const std::string& ca_bundle,
                                                             const ProxySettings& proxy);

}  // namespace modelfs::fetch
