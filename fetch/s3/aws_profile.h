#pragma once

#include <map>
#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fetch {

/// One profile of the AWS configuration files, merged. Fields that the files do not set are empty.
///
/// Source: "Shared config and credentials files" of the AWS SDKs and Tools reference guide.
struct AwsProfile {
  bool found = false;  ///< Some section of either file bears the profile's name.
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  std::string region;
  std::string endpoint_url;      ///< For every service.
  std::string s3_endpoint_url;   ///< [services NAME] s3 endpoint_url, where the profile names NAME.
  std::string sts_endpoint_url;  ///< The same for sts.
  std::string ca_bundle;
  std::string s3_addressing_style;  ///< s3 = addressing_style: "auto", "path", "virtual".
  /// Everything the profile sets, lower-case keys, nested ones as "s3.addressing_style":
  /// credential_process, role_arn, ...
  std::map<std::string, std::string, std::less<>> values;
};

/// Finds profile `name` in the texts of ~/.aws/credentials and ~/.aws/config (either may be empty).
/// Where both set a key, the credentials file wins; access key id, secret and token come as a whole
/// from one of them. Pure: no file, no environment.
/// Errors: kInvalid, naming file kind and line: an unfinished section name, a line that is neither
/// section, comment nor `key = value`. A profile that is not there is no error; see `found`.
Result<AwsProfile> ParseAwsProfile(std::string_view credentials_text, std::string_view config_text,
                                   std::string_view name);

}  // namespace modelfs::fetch
