#pragma once

#include <filesystem>
#include <string>

#include "fetch/base/error.h"
#include "fetch/s3/aws_profile.h"
#include "fs/config/environment.h"

namespace modelfs::fs {

/// One profile as AWS's two files have it, apart, so that a message can say which file.
struct AwsFiles {
  std::string profile;  ///< Its name.
  bool named = false;   ///< Somebody asked for it by name; else it is "default".
  std::filesystem::path credentials_path;
  std::filesystem::path config_path;
  fetch::AwsProfile credentials;  ///< Of the credentials file alone.
  fetch::AwsProfile config;       ///< Of the configuration file alone.
  fetch::AwsProfile merged;       ///< Of both; the credentials file wins.

  /// The value of `key`, "" when neither file has it.
  std::string Get(const std::string& key) const;
  /// "profile 'x' of /root/.aws/config".
  std::string Describe(const std::filesystem::path& path) const;
};

/// Reads profile `wanted` ("": $AWS_PROFILE, $AWS_DEFAULT_PROFILE, "default") of
/// $AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials and $AWS_CONFIG_FILE or ~/.aws/config. A file
/// that is not there is an empty one.
/// Errors: kInvalid (a line that makes no sense), kDenied (a profile asked for by name is in
/// neither file), others as FromErrno. The text names the file.
Result<AwsFiles> ReadAwsFiles(const std::string& wanted, const Environment& env);

}  // namespace modelfs::fs
