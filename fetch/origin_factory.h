#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "fetch/credentials/credential_settings.h"
#include "fetch/fetch_context.h"
#include "fetch/http/proxy.h"
#include "fetch/origin.h"
#include "fetch/s3/s3_endpoint.h"

namespace modelfs::fetch {

/// What an origin needs besides its URI. Fields of other kinds of origin are ignored.
struct OriginSettings {
  std::string s3_endpoint;  ///< "https://minio:9000"; empty: AWS's own for the region.
  std::string s3_region;    ///< Empty: us-east-1.
  S3Addressing s3_addressing = S3Addressing::kAuto;
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  bool anonymous = false;  ///< Send unsigned requests; keys are ignored.
  /// Where keys come from that change. Its kKeys without an id: the three fields above.
  CredentialSettings credentials;
  ProxySettings proxy;
  std::string http_auth_file;   ///< http(s): holds "user:password"; empty: none.
  std::string http_token_file;  ///< http(s): holds a bearer token; empty: none.
  std::string ca_bundle;        ///< PEM file; empty: the context's, or the system's.
};

/// Makes the origin of "s3://bucket[/prefix]", "http(s)://host[:port]/path" or "dir:/path". Sends
/// and opens nothing but the file of a user's name; see Probe. `context` outlives the origin.
/// Errors: kInvalid (URI, endpoint), kDenied (no credentials, and not anonymous).
Result<std::shared_ptr<Origin>> MakeOrigin(FetchContext& context, std::string_view uri,
                                           const OriginSettings& settings);

}  // namespace modelfs::fetch
