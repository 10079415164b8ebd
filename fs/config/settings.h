#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fs/spec.h"

namespace modelfs::fs {

/// How to reach one source, as far as somebody said so.
struct SourceSettings {
  std::string where;  ///< For messages: "--source", "m.toml:12".
  std::string uri;    ///< As written; may hold "NAME=" where it comes from a flag.
  std::optional<std::string> name;
  std::optional<std::string> endpoint;
  std::optional<std::string> region;
  std::optional<std::string> profile;
  std::optional<bool> anonymous;
  std::optional<S3Settings::Addressing> addressing;
  std::optional<std::string> ca_bundle;
  std::optional<std::string> auth_file;
  std::optional<std::string> token_file;
  std::vector<std::string> models;  ///< Filter of registered models; MLflow only.
};

/// What a configuration file or a command line says: every value may be missing. The values are
/// parsed and in range; whether they fit together is LoadConfig's business.
struct Settings {
  std::optional<std::string> cache;
  std::optional<std::string> index;
  std::optional<std::string> shared_cache;
  std::optional<Amount> shared_cache_size;
  std::optional<std::uint64_t> shared_segment_bytes;
  std::optional<Amount> memory;
  std::optional<std::uint64_t> chunk_size_bytes;
  std::optional<bool> allow_other;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<mode_t> umask;
  std::optional<std::chrono::milliseconds> read_timeout;
  std::optional<std::chrono::milliseconds> listing_ttl;
  std::optional<index::IoBackend> io_backend;
  std::optional<std::string> log_level;
  std::optional<Amount> cache_size;
  std::optional<Amount> free_floor;
  std::optional<std::uint64_t> bandwidth_limit;
  std::optional<std::string> http;
  std::optional<std::string> http_token_file;
  std::optional<std::string> webhook_secret_file;
  std::optional<std::string> hold;
  std::optional<SignaturePolicy> signature;
  std::optional<std::string> signature_key;
  std::optional<std::string> signature_ca;
  std::optional<bool> resend;
  std::optional<bool> passthrough;
  std::vector<SourceSettings> sources;

  // Checked, but nothing acts on them in this version: LoadConfig says so in a note.
  std::optional<std::chrono::milliseconds> alias_poll;
  std::optional<std::string> promotion_warm;
};

}  // namespace modelfs::fs
