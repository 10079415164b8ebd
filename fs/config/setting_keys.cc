#include "fs/config/setting_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <string>

#include "fetch/base/size.h"
#include "fs/config/duration.h"
#include "fs/config/endpoint.h"

namespace modelfs::fs {
namespace {

std::unexpected<Error> Bad(std::string what) { return Fail(Errc::kInvalid, std::move(what)); }

Result<std::string> Text(std::string_view text) {
  if (text.empty()) return Bad("is empty");
  return std::string(text);
}

Result<bool> Switch(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return Bad(fmt::format("'{}' is neither true nor false", text));
}

Result<Amount> SizeOrPercent(std::string_view text) {
  if (!text.ends_with('%')) {
    auto bytes = ParseSize(text);
    if (!bytes) return std::unexpected(std::move(bytes.error()));
    return Amount{.unit = Amount::Unit::kBytes, .value = *bytes};
  }
  std::uint64_t percent = 0;
  const std::string_view number = text.substr(0, text.size() - 1);
  const auto [rest, error] = std::from_chars(number.data(), number.data() + number.size(), percent);
  if (error != std::errc{} || rest != number.data() + number.size() || percent < 1 ||
      percent > 100) {
    return Bad(fmt::format("'{}' is no share; write 1% to 100%, or a size such as 64MiB", text));
  }
  return Amount{.unit = Amount::Unit::kPercent, .value = percent};
}

Result<std::uint64_t> ChunkSize(std::string_view text) {
  auto size = ParseSize(text);
  if (size && (!std::has_single_bit(*size) || *size < 256 * kKiB || *size > 16 * kMiB)) {
    return Bad(
        fmt::format("'{}' is no chunk size; it must be 256KiB, 512KiB, 1MiB, 2MiB, 4MiB, "
                    "8MiB or 16MiB",
                    text));
  }
  return size;
}

Result<std::uint32_t> Id(std::string_view text) {
  std::uint32_t id = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || rest != text.data() + text.size() || id == ~0u) {
    return Bad(fmt::format("'{}' is no numeric id", text));
  }
  return id;
}

Result<mode_t> Mask(std::string_view text) {
  mode_t mask = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), mask, 8);
  if (error != std::errc{} || rest != text.data() + text.size() || mask > 0777) {
    return Bad(fmt::format("'{}' is no octal mask; write for example 022", text));
  }
  return mask;
}

/// "127.0.0.1:9810", "[::1]:9810", ":9810"; "" is off.
Result<std::string> ListenAddress(std::string_view text) {
  if (text.empty()) return std::string();
  const std::size_t colon = text.rfind(':');
  const std::string_view port = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  const std::string_view host = text.substr(0, std::min(colon, text.size()));
  std::uint16_t number = 0;
  const auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (port.empty() || error != std::errc{} || rest != port.data() + port.size() ||
      (!bracketed && host.find(':') != std::string_view::npos)) {
    return Bad(fmt::format("'{}' is no address; write for example 127.0.0.1:9810", text));
  }
  return std::string(text);
}

Result<std::string> OneOf(std::string_view text, std::span<const std::string_view> words) {
  std::string list;
  for (const std::string_view word : words) {
    if (word == text) return std::string(text);
    list += fmt::format("{}{}", list.empty() ? "" : ", ", word);
  }
  return Bad(fmt::format("'{}' is not one of {}", text, list));
}

Result<index::IoBackend> Io(std::string_view text) {
  if (text == "auto") return index::IoBackend::kAuto;
  if (text == "uring") return index::IoBackend::kUring;
  if (text == "threads") return index::IoBackend::kThreads;
  return Bad(fmt::format("'{}' is not one of auto, uring, threads", text));
}

Result<S3Settings::Addressing> Addressing(std::string_view text) {
  if (text == "auto") return S3Settings::Addressing::kAuto;
  if (text == "path") return S3Settings::Addressing::kPath;
  if (text == "virtual") return S3Settings::Addressing::kVirtual;
  return Bad(fmt::format("'{}' is not one of auto, path, virtual", text));
}

Result<std::string> LogLevel(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kLevels{"trace", "debug", "info",
                                                           "warn",  "error", "off"};
  return OneOf(text, kLevels);
}

Result<SignaturePolicy> Signature(std::string_view text) {
  if (text == "off") return SignaturePolicy::kOff;
  if (text == "warn") return SignaturePolicy::kWarn;
  if (text == "enforce") return SignaturePolicy::kEnforce;
  return Bad(fmt::format("'{}' is not one of off, warn, enforce", text));
}

Result<std::uint64_t> SegmentSize(std::string_view text) {
  auto bytes = ParseSize(text);
  if (!bytes) return bytes;
  const bool fits = std::has_single_bit(*bytes) && *bytes >= 1024 * kKiB && *bytes <= 1024 * kMiB;
  if (!fits) return Bad(fmt::format("'{}' is no power of two from 1MiB to 1GiB", text));
  return bytes;
}

/// Whether something is used where it can be.
Result<bool> AutoOrOff(std::string_view text) {
  if (text == "auto") return true;
  if (text == "off") return false;
  return Bad(fmt::format("'{}' is not one of auto, off", text));
}

Result<std::string> PromotionWarm(std::string_view text) {
  static constexpr std::array<std::string_view, 3> kModes{"off", "profile", "full"};
  return OneOf(text, kModes);
}

/// Applies a parser to a member: what most rows of the tables are.
template <auto Parse, auto Member, class Target>
Result<void> Set(std::string_view text, Target& target) {
  auto value = Parse(text);
  if (!value) return std::unexpected(std::move(value.error()));
  target.*Member = *std::move(value);
  return {};
}

using Type = SettingKey<Settings>::Type;
using S = Settings;
constexpr std::array kSettingKeys = {
    SettingKey<S>{"cache", "--cache", Type::kText, "DIR",
                  "Where downloaded chunks are kept; memory: nowhere else. /var/cache/modelfs as "
                  "root, else $XDG_CACHE_HOME/modelfs",
                  Set<Text, &S::cache, S>},
    SettingKey<S>{"index", "--index", Type::kText, "DIR",
                  "Where the index lies; on a local disk if the cache is on a network filesystem",
                  Set<Text, &S::index, S>},
    SettingKey<S>{"chunk_size", "--chunk-size", Type::kNumber, "SIZE",
                  "Unit of caching, 256KiB to 16MiB; an existing cache keeps its own [1MiB]",
                  Set<ChunkSize, &S::chunk_size_bytes, S>},
    SettingKey<S>{"memory", "--memory", Type::kNumber, "SIZE|PERCENT",
                  "For chunk buffers; a share is of the cgroup's limit or RAM, up to 512MiB [25%]",
                  Set<SizeOrPercent, &S::memory, S>},
    SettingKey<S>{"io", "--io", Type::kText, "auto|uring|threads",
                  "How cache files are read and written [auto]", Set<Io, &S::io_backend, S>},
    SettingKey<S>{"allow_other", "--allow-other", Type::kSwitch, "",
                  "Let other users see the mount", Set<Switch, &S::allow_other, S>},
    SettingKey<S>{"uid", "--uid", Type::kNumber, "N", "Owner shown for every file [you]",
                  Set<Id, &S::uid, S>},
    SettingKey<S>{"gid", "--gid", Type::kNumber, "N", "Group shown for every file [yours]",
                  Set<Id, &S::gid, S>},
    SettingKey<S>{"umask", "--umask", Type::kText, "OCTAL",
                  "Bits taken from the modes 0444 and 0555 [000]", Set<Mask, &S::umask, S>},
    SettingKey<S>{"timeouts.read", "--read-timeout", Type::kText, "TIME",
                  "A read that waits longer fails with EIO; 0: never [5m]",
                  Set<ParseDuration, &S::read_timeout, S>},
    SettingKey<S>{"timeouts.listing_ttl", "--listing-ttl", Type::kText, "TIME",
                  "How long a listing is trusted before it is asked again [60s]",
                  Set<ParseDuration, &S::listing_ttl, S>},
    SettingKey<S>{"log_level", "--log-level", Type::kText, "LEVEL",
                  "trace, debug, info, warn, error or off [info]", Set<LogLevel, &S::log_level, S>},
    SettingKey<S>{"cache_size", "--cache-size", Type::kNumber, "SIZE|PERCENT",
                  "Most that the cache may hold, a share is of its filesystem; 0: no limit [80%]",
                  Set<SizeOrPercent, &S::cache_size, S>},
    SettingKey<S>{"free_floor", "--free-floor", Type::kNumber, "SIZE|PERCENT",
                  "Free space to leave on the cache's filesystem; 0: none [5%]",
                  Set<SizeOrPercent, &S::free_floor, S>},
    SettingKey<S>{"bandwidth_limit", "--bandwidth-limit", Type::kNumber, "SIZE",
                  "Most that all downloads together may bring in a second, e.g. 200MiB; what "
                  "somebody waits for goes first; 0: no limit [0]",
                  Set<ParseSize, &S::bandwidth_limit, S>},
    SettingKey<S>{"shared_cache", "--shared-cache", Type::kText, "DIR",
                  "A directory that other nodes have mounted too: one downloads for all",
                  Set<Text, &S::shared_cache, S>},
    SettingKey<S>{"shared_cache_size", "--shared-cache-size", Type::kNumber, "SIZE|PERCENT",
                  "Most that the shared directory may hold, a share is of its filesystem; 0: no "
                  "limit [0]",
                  Set<SizeOrPercent, &S::shared_cache_size, S>},
    SettingKey<S>{"shared_segment_size", "--shared-segment-size", Type::kNumber, "SIZE",
                  "Most that one node undertakes to download at a time, 1MiB to 1GiB; an existing "
                  "directory keeps its own [64MiB]",
                  Set<SegmentSize, &S::shared_segment_bytes, S>},
    SettingKey<S>{"http", "--http", Type::kText, "ADDR:PORT",
                  "Serve health, metrics and status over HTTP; \"\": do not [\"\"]",
                  Set<ListenAddress, &S::http, S>},
    SettingKey<S>{"http_token_file", "--http-token-file", Type::kText, "FILE",
                  "Holds the bearer token that --http asks for when others can reach it",
                  Set<Text, &S::http_token_file, S>},
    SettingKey<S>{"webhook_secret_file", "--webhook-secret-file", Type::kText, "FILE",
                  "The secret of MLflow's webhook, for POST /webhooks/mlflow of --http",
                  Set<Text, &S::webhook_secret_file, S>},
    SettingKey<S>{"hold", "--hold", Type::kText, "SOCKET",
                  "Of 'modelfs hold' in another container: mounts outlive this one",
                  Set<Text, &S::hold, S>},
    SettingKey<S>{"resend", "--resend", Type::kText, "auto|off",
                  "Whether the kernel is asked for what a dead worker did not answer; off, or "
                  "before Linux 6.9: our own record of it is used [auto]",
                  Set<AutoOrOff, &S::resend, S>},
    SettingKey<S>{"passthrough", "--passthrough", Type::kText, "auto|off",
                  "Whether the kernel reads whole, verified files by itself from the cache (Linux "
                  "6.9 or newer, CAP_SYS_ADMIN) [auto]",
                  Set<AutoOrOff, &S::passthrough, S>},
    SettingKey<S>{"signature", "--signature", Type::kText, "off|warn|enforce",
                  "What to make of a model.sig (OpenSSF model signing) above a file [off]",
                  Set<Signature, &S::signature, S>},
    SettingKey<S>{"signature_key", "--signature-key", Type::kText, "FILE",
                  "The public key (PEM) that models are signed with",
                  Set<Text, &S::signature_key, S>},
    SettingKey<S>{"signature_ca", "--signature-ca", Type::kText, "FILE",
                  "Certificates (PEM) that vouch for those that models are signed with",
                  Set<Text, &S::signature_ca, S>},
    SettingKey<S>{"timeouts.alias_poll", "--alias-poll", Type::kText, "TIME",
                  "How often the aliases of a registry are asked, +- 20 %; 0: never [30s]",
                  Set<ParseDuration, &S::alias_poll, S>},
    SettingKey<S>{"promotion.warm", "--promotion-warm", Type::kText, "off|profile|full",
                  "What must be in the cache before an alias that moved is followed; profile is "
                  "not used yet [off]",
                  Set<PromotionWarm, &S::promotion_warm, S>},
};

using SourceType = SettingKey<SourceSettings>::Type;
using Source = SourceSettings;
constexpr std::array kSourceKeys = {
    SettingKey<Source>{"endpoint", "--endpoint", SourceType::kText, "URL",
                       "S3 server, http(s)://HOST[:PORT] [AWS]",
                       Set<ParseEndpoint, &Source::endpoint, Source>},
    SettingKey<Source>{"region", "--region", SourceType::kText, "REGION",
                       "Region of the bucket [us-east-1]", Set<Text, &Source::region, Source>},
    SettingKey<Source>{"profile", "--profile", SourceType::kText, "NAME",
                       "Profile of ~/.aws to take credentials and endpoint from",
                       Set<Text, &Source::profile, Source>},
    SettingKey<Source>{"anonymous", "--anonymous", SourceType::kSwitch, "",
                       "Send unsigned requests: the bucket is public",
                       Set<Switch, &Source::anonymous, Source>},
    SettingKey<Source>{"addressing", "--addressing", SourceType::kText, "auto|path|virtual",
                       "Bucket in the path or in the host name [auto]",
                       Set<Addressing, &Source::addressing, Source>},
    SettingKey<Source>{"ca_bundle", "--ca-bundle", SourceType::kText, "FILE",
                       "PEM file of the authorities to trust [the system's]",
                       Set<Text, &Source::ca_bundle, Source>},
    SettingKey<Source>{"auth_file", "--auth-file", SourceType::kText, "FILE",
                       "File that holds user:password for an http or MLflow source; it may change",
                       Set<Text, &Source::auth_file, Source>},
    SettingKey<Source>{"token_file", "--token-file", SourceType::kText, "FILE",
                       "File that holds a bearer token for an http or MLflow source; it may change",
                       Set<Text, &Source::token_file, Source>},
};

}  // namespace

std::span<const SettingKey<Settings>> SettingKeys() { return kSettingKeys; }
std::span<const SettingKey<SourceSettings>> SourceKeys() { return kSourceKeys; }

}  // namespace modelfs::fs
