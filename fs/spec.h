#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/credentials/credential_settings.h"
#include "fetch/http/proxy.h"
#include "fetch/mlflow/mlflow_settings.h"
#include "fs/config/config_origin.h"
#include "index/cache.h"

namespace modelfs::fs {

// What a daemon and a mount are asked to be, after configuration file, flags and environment were
// merged (fs/config.cc). Plain values: they travel as JSON from `modelfs mount` to the supervisor,
// to the worker and over the control socket. They may hold secrets: never logged, never in argv.

/// A size, or a share of one that is known later.
struct Amount {
  enum class Unit : std::uint8_t { kBytes, kPercent } unit = Unit::kBytes;
  std::uint64_t value = 0;
  friend bool operator==(const Amount&, const Amount&) = default;
};

/// How to reach S3; ignored by other kinds of source.
struct S3Settings {
  std::string endpoint;  ///< "https://minio:9000"; empty: AWS's own for the region.
  std::string region;    ///< Empty: us-east-1.
  /// The keys, where they are known already: of the environment and of profiles.
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  /// Where keys come from, so that the daemon can fetch them again.
  fetch::CredentialSettings credentials;
  /// For messages: "environment", "profile x of ~/.aws/credentials".
  std::string credential_origin;
  bool anonymous = false;  ///< Send unsigned requests.
  enum class Addressing : std::uint8_t { kAuto, kPath, kVirtual } addressing = Addressing::kAuto;
};

struct SourceSpec {
  std::string name;  ///< Directory at the mount's root; "" of MLflow: its models are at the root.
  std::string uri;   ///< "s3://bucket/prefix", "dir:/path", "mlflow:http://host:5000".
  S3Settings s3;     ///< Of MLflow: how to reach the storage behind it.
  fetch::MlflowSettings mlflow;     ///< Of MLflow only.
  std::vector<std::string> models;  ///< Of MLflow: globs of the models to show; empty: all.
  std::string ca_bundle;            ///< PEM file; empty: the system's.
  fetch::ProxySettings proxy;
  std::string auth_file;   ///< http: a file that holds "user:password"; empty: none.
  std::string token_file;  ///< http: a file that holds a bearer token; empty: none.
};

/// What is made of a model's signature; see fs/signature.
enum class SignaturePolicy : std::uint8_t { kOff, kWarn, kEnforce };

struct MountSpec {
  std::string mountpoint;  ///< Absolute.
  std::vector<SourceSpec> sources;
  bool allow_other = false;
  uid_t uid = 0;  ///< Owner shown for every file.
  gid_t gid = 0;
  mode_t umask = 0;  ///< Taken from 0444 and 0555.
  std::chrono::milliseconds read_timeout{std::chrono::minutes(5)};
  std::chrono::milliseconds listing_ttl{std::chrono::seconds(60)};
  ConfigOrigin config;                                             ///< Where all this came from.
  std::chrono::milliseconds alias_poll{std::chrono::seconds(30)};  ///< +- 20 %; 0: never.
  SignaturePolicy signature = SignaturePolicy::kOff;
  std::string signature_key;     ///< Absolute path of a public key in PEM; empty: see signature_ca.
  std::string signature_ca;      ///< Absolute path of certificates in PEM.
  bool warm_promotions = false;  ///< An alias moves only once its new version is in the cache.
};

struct DaemonSpec {
  std::string cache_directory;  ///< Absolute.
  std::string index_directory;  ///< Absolute; empty: beside the data.
  /// The cache directory lies in memory, is bounded by memory_bytes, and goes with the daemon.
  bool cache_in_memory = false;
  std::string shared_cache;                           ///< Absolute; empty: none.
  Amount shared_cache_size{Amount::Unit::kBytes, 0};  ///< Most that it may hold; 0: no limit.
  std::uint64_t shared_segment_bytes = 64u << 20;     ///< Of a new shared directory.
  std::uint64_t chunk_size_bytes = 1u << 20;
  std::uint64_t memory_bytes = 256u << 20;
  index::IoBackend io_backend = index::IoBackend::kAuto;
  Amount cache_size{Amount::Unit::kPercent, 80};  ///< Most that the cache may take; 0: no limit.
  Amount free_floor{Amount::Unit::kPercent, 5};   ///< To be left free on its filesystem.
  std::uint64_t bandwidth_limit = 0;              ///< Bytes per second of all downloads; 0: none.
  std::string http;                               ///< "127.0.0.1:9810"; empty: none.
  std::string http_token_file;                    ///< Absolute; empty: none.
  std::string webhook_secret_file;                ///< Absolute; empty: no webhook is taken.
  std::string log_level = "info";
  std::string hold;    ///< Absolute path of the socket of a MountHolder; empty: none.
  bool resend = true;  ///< Ask the kernel for unanswered requests where it can send them again.
  bool passthrough = true;     ///< Let the kernel read whole files by itself where it can.
  std::string control_socket;  ///< Path of the unix socket, derived from the cache directory.
};

nlohmann::json ToJson(const MountSpec& spec);
nlohmann::json ToJson(const DaemonSpec& spec);
/// Errors: kInvalid, naming the field that is missing or of the wrong type.
Result<MountSpec> MountSpecFromJson(const nlohmann::json& json);
Result<DaemonSpec> DaemonSpecFromJson(const nlohmann::json& json);

}  // namespace modelfs::fs
