#include "fs/config/origin_settings.h"

namespace modelfs::fs {
namespace {

fetch::S3Addressing ToFetch(S3Settings::Addressing addressing) {
  switch (addressing) {
    case S3Settings::Addressing::kAuto: return fetch::S3Addressing::kAuto;
    case S3Settings::Addressing::kPath: return fetch::S3Addressing::kPath;
    case S3Settings::Addressing::kVirtual: return fetch::S3Addressing::kVirtual;
  }
  return fetch::S3Addressing::kAuto;
}

}  // namespace

fetch::OriginSettings ToOriginSettings(const SourceSpec& source) {
  return {.s3_endpoint = source.s3.endpoint,
          .s3_region = source.s3.region,
          .s3_addressing = ToFetch(source.s3.addressing),
          .access_key_id = source.s3.access_key_id,
          .secret_access_key = source.s3.secret_access_key,
          .session_token = source.s3.session_token,
          .anonymous = source.s3.anonymous,
          .credentials = source.s3.credentials,
          .proxy = source.proxy,
          .http_auth_file = source.auth_file,
          .http_token_file = source.token_file,
          .ca_bundle = source.ca_bundle};
}

}  // namespace modelfs::fs
