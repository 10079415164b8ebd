#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace modelfs::fetch {

/// Where keys come from, as plain values: what a process needs to fetch them, and to fetch them
/// again. Only the fields of its kind are read. May hold secrets: never logged.
///
/// Source: docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
struct CredentialSettings {
  enum class Kind : std::uint8_t {
    kKeys,         ///< access_key_id, secret_access_key, session_token: they stay as they are.
    kProfile,      ///< The keys of a profile; its files are read again when they are rejected.
    kProcess,      ///< credential_process of a profile.
    kWebIdentity,  ///< AssumeRoleWithWebIdentity with a token from a file (IRSA).
    kAssumeRole,   ///< AssumeRole with the keys of `source`.
    kContainer,    ///< The endpoint of ECS, or of EKS Pod Identity.
    kInstance,     ///< The metadata service of EC2, version 2.
  };
  Kind kind = Kind::kKeys;
  std::string where;  ///< For messages: "profile 'x' of /root/.aws/config".

  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;

  std::string profile;           ///< kProfile, kProcess.
  std::string credentials_file;  ///< kProfile; either may be empty.
  std::string config_file;       ///< kProfile.

  std::string command;                   ///< kProcess: as written; run without a shell.
  std::vector<std::string> environment;  ///< kProcess: all variables of the child, "NAME=value".

  std::string role_arn;                ///< kWebIdentity, kAssumeRole.
  std::string role_session_name;       ///< Empty: "modelfs".
  std::string external_id;             ///< kAssumeRole; may be empty.
  std::uint32_t duration_seconds = 0;  ///< 0: as the service likes.
  std::string token_file;              ///< kWebIdentity, kContainer (then may be empty).
  std::string sts_endpoint;            ///< Empty: AWS's own of `region`.
  std::string region;                  ///< Of STS; empty: us-east-1.
  std::shared_ptr<const CredentialSettings> source;  ///< kAssumeRole; not null there.

  std::string uri;    ///< kContainer: whole. kInstance: the service, "http://169.254.169.254".
  std::string token;  ///< kContainer: Authorization header; may be empty.
  bool version_1_allowed = true;             ///< kInstance: go on without a session token.
  std::uint32_t attempts = 1;                ///< kInstance.
  std::chrono::milliseconds timeout{1'000};  ///< kInstance: of one request.
};

}  // namespace modelfs::fetch
