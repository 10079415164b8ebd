#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "index/cache.h"

namespace modelfs::fs {

// What a daemon and a mount are asked to be, after configuration file, flags and environment were
// merged (fs/config.cc). Plain values: they travel as JSON from `modelfs mount` to the supervisor,
// to the worker and over the control socket. They may hold secrets: never logged, never in argv.

/// How to reach S3; ignored by other kinds of source.
struct S3Settings {
  std::string endpoint;       ///< "https://minio:9000"; empty: AWS's own for the region.
  std::string region;         ///< Empty: us-east-1.
  std::string access_key_id;  ///< Empty with `anonymous` false: no credentials were found.
  std::string secret_access_key;
  std::string session_token;
  /// For messages: "environment", "profile x of ~/.aws/credentials".
  std::string credential_origin;
  bool anonymous = false;  ///< Send unsigned requests.
  enum class Addressing : std::uint8_t { kAuto, kPath, kVirtual } addressing = Addressing::kAuto;
};

struct SourceSpec {
  std::string name;  ///< Directory at the mount's root.
  std::string uri;   ///< "s3://bucket/prefix", "dir:/path".
  S3Settings s3;
  std::string ca_bundle;  ///< PEM file; empty: the system's.
};

struct MountSpec {
  std::string mountpoint;  ///< Absolute.
  std::vector<SourceSpec> sources;
  bool allow_other = false;
  uid_t uid = 0;  ///< Owner shown for every file.
  gid_t gid = 0;
  mode_t umask = 0;  ///< Taken from 0444 and 0555.
  std::chrono::milliseconds read_timeout{std::chrono::minutes(5)};
  std::chrono::milliseconds listing_ttl{std::chrono::seconds(60)};
};

struct DaemonSpec {
  std::string cache_directory;  ///< Absolute.
  std::string index_directory;  ///< Absolute; empty: beside the data.
  std::uint64_t chunk_size_bytes = 1u << 20;
  std::uint64_t memory_bytes = 256u << 20;
  index::IoBackend io_backend = index::IoBackend::kAuto;
  std::string log_level = "info";
  std::string control_socket;  ///< Path of the unix socket, derived from the cache directory.
};

nlohmann::json ToJson(const MountSpec& spec);
nlohmann::json ToJson(const DaemonSpec& spec);
/// Errors: kInvalid, naming the field that is missing or of the wrong type.
Result<MountSpec> MountSpecFromJson(const nlohmann::json& json);
Result<DaemonSpec> DaemonSpecFromJson(const nlohmann::json& json);

}  // namespace modelfs::fs
