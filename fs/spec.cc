#include "fs/spec.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <concepts>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "fs/credential_spec.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;
using Addressing = S3Settings::Addressing;

constexpr std::array<std::pair<Addressing, std::string_view>, 3> kAddressings{{
    {Addressing::kAuto, "auto"},
    {Addressing::kPath, "path"},
    {Addressing::kVirtual, "virtual"},
}};
constexpr std::array<std::pair<index::IoBackend, std::string_view>, 3> kIoBackends{{
    {index::IoBackend::kAuto, "auto"},
    {index::IoBackend::kUring, "io_uring"},
    {index::IoBackend::kThreads, "threads"},
}};

constexpr std::array<std::pair<SignaturePolicy, std::string_view>, 3> kSignaturePolicies{{
    {SignaturePolicy::kOff, "off"},
    {SignaturePolicy::kWarn, "warn"},
    {SignaturePolicy::kEnforce, "enforce"},
}};

template <class Names, class Enum>
std::string Name(const Names& names, Enum value) {
  for (const auto& [candidate, name] : names) {
    if (candidate == value) return std::string(name);
  }
  return "";
}

enum class Presence : std::uint8_t {
  kRequired,
  kOptional,  ///< The field keeps what it had: another version of us may not know it.
};

/// Reads the fields of one JSON object and remembers the first thing that is wrong with it.
class Fields {
 public:
  Fields(const json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object_.is_object()) Complain(path_, "an object");
  }

  void Read(const char* name, std::string& out, Presence presence) {
    if (const json* value = Find(name, presence)) {
      if (!value->is_string()) return Complain(Path(name), "a string");
      out = value->get<std::string>();
    }
  }
  void Read(const char* name, bool& out) {
    if (const json* value = Find(name, Presence::kOptional)) {
      if (!value->is_boolean()) return Complain(Path(name), "true or false");
      out = value->get<bool>();
    }
  }
  template <std::unsigned_integral T>
  void Read(const char* name, T& out) {
    if (const json* value = Find(name, Presence::kOptional)) {
      if (!value->is_number_unsigned() ||
          value->get<std::uint64_t>() > std::numeric_limits<T>::max()) {
        return Complain(Path(name), "a whole number that is not negative");
      }
      out = static_cast<T>(value->get<std::uint64_t>());
    }
  }
  void Read(const char* name, std::vector<std::string>& out) {
    const json* const list = Find(name, Presence::kOptional);
    if (list == nullptr) return;
    if (!list->is_array()) return Complain(Path(name), "an array of strings");
    for (const json& text : *list) {
      if (!text.is_string()) return Complain(Path(name), "an array of strings");
      out.push_back(text.get<std::string>());
    }
  }
  void Read(const char* name, std::chrono::milliseconds& out) {
    std::uint32_t count = 0;  // 49 days, and no overflow in whoever adds it to a time.
    if (Find(name, Presence::kOptional) == nullptr) return;
    Read(name, count);
    out = std::chrono::milliseconds(count);
  }
  template <class Names, class Enum>
  void ReadEnum(const char* name, const Names& names, Enum& out) {
    std::string text = Name(names, out);
    Read(name, text, Presence::kOptional);
    for (const auto& [candidate, candidate_name] : names) {
      if (candidate_name == text) {
        out = candidate;
        return;
      }
    }
    Complain(Path(name), "one of the known words");
  }

  const json* Find(const char* name, Presence presence) {
    if (error_ || !object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    if (found != object_.end()) return &*found;
    if (presence == Presence::kRequired) {
      error_ = Error{Errc::kInvalid, fmt::format("{} is missing", Path(name))};
    }
    return nullptr;
  }
  std::string Path(const char* name) const { return fmt::format("{}.{}", path_, name); }
  void Complain(const std::string& path, std::string_view expected) {
    if (!error_) error_ = Error{Errc::kInvalid, fmt::format("{} is not {}", path, expected)};
  }
  void Adopt(const Error& error) {
    if (!error_) error_ = error;
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  const json& object_;
  std::string path_;
  std::optional<Error> error_;
};

/// "80%" or a number of bytes.
std::string AmountText(const Amount& amount) {
  return fmt::format("{}{}", amount.value, amount.unit == Amount::Unit::kPercent ? "%" : "");
}

void ReadAmount(Fields& fields, const char* name, Amount& out) {
  std::string text = AmountText(out);
  fields.Read(name, text, Presence::kOptional);
  out.unit = text.ends_with('%') ? Amount::Unit::kPercent : Amount::Unit::kBytes;
  const char* const end = text.data() + text.size() - (text.ends_with('%') ? 1 : 0);
  const auto [rest, error] = std::from_chars(text.data(), end, out.value);
  if (text.empty() || error != std::errc{} || rest != end) {
    fields.Complain(fields.Path(name), "a size or a share");
  }
}

json ToJson(const S3Settings& s3) {
  return {{"endpoint", s3.endpoint},
          {"region", s3.region},
          {"access_key_id", s3.access_key_id},
          {"secret_access_key", s3.secret_access_key},
          {"session_token", s3.session_token},
          {"credential_origin", s3.credential_origin},
          {"anonymous", s3.anonymous},
          {"addressing", Name(kAddressings, s3.addressing)},
          {"credentials", CredentialsToJson(s3.credentials)}};
}

json ToJson(const fetch::MlflowSettings& mlflow) {
  return {{"tracking_uri", mlflow.tracking_uri},
          {"registry_uri", mlflow.registry_uri},
          {"username", mlflow.username},
          {"password", mlflow.password},
          {"token", mlflow.token},
          {"auth_file", mlflow.auth_file},
          {"token_file", mlflow.token_file},
          {"workspace", mlflow.workspace},
          {"ca_bundle", mlflow.ca_bundle},
          {"client_certificate", mlflow.client_certificate},
          {"insecure_tls", mlflow.insecure_tls}};
}

json ToJson(const SourceSpec& source) {
  return {{"name", source.name},
          {"uri", source.uri},
          {"s3", ToJson(source.s3)},
          {"mlflow", ToJson(source.mlflow)},
          {"models", source.models},
          {"ca_bundle", source.ca_bundle},
          {"proxy", ProxyToJson(source.proxy)},
          {"auth_file", source.auth_file},
          {"token_file", source.token_file}};
}

Result<S3Settings> S3FromJson(const json& object, const std::string& path) {
  S3Settings s3;
  Fields fields(object, path);
  fields.Read("endpoint", s3.endpoint, Presence::kOptional);
  fields.Read("region", s3.region, Presence::kOptional);
  fields.Read("access_key_id", s3.access_key_id, Presence::kOptional);
  fields.Read("secret_access_key", s3.secret_access_key, Presence::kOptional);
  fields.Read("session_token", s3.session_token, Presence::kOptional);
  fields.Read("credential_origin", s3.credential_origin, Presence::kOptional);
  fields.Read("anonymous", s3.anonymous);
  fields.ReadEnum("addressing", kAddressings, s3.addressing);
  if (const json* credentials = fields.Find("credentials", Presence::kOptional)) {
    auto settings = CredentialsFromJson(*credentials, fields.Path("credentials"));
    if (!settings) return std::unexpected(settings.error());
    s3.credentials = *std::move(settings);
  }
  if (const auto& error = fields.error()) return std::unexpected(*error);
  return s3;
}

Result<fetch::MlflowSettings> MlflowFromJson(const json& object, const std::string& path) {
  fetch::MlflowSettings mlflow;
  Fields fields(object, path);
  fields.Read("tracking_uri", mlflow.tracking_uri, Presence::kOptional);
  fields.Read("registry_uri", mlflow.registry_uri, Presence::kOptional);
  fields.Read("username", mlflow.username, Presence::kOptional);
  fields.Read("password", mlflow.password, Presence::kOptional);
  fields.Read("token", mlflow.token, Presence::kOptional);
  fields.Read("auth_file", mlflow.auth_file, Presence::kOptional);
  fields.Read("token_file", mlflow.token_file, Presence::kOptional);
  fields.Read("workspace", mlflow.workspace, Presence::kOptional);
  fields.Read("ca_bundle", mlflow.ca_bundle, Presence::kOptional);
  fields.Read("client_certificate", mlflow.client_certificate, Presence::kOptional);
  fields.Read("insecure_tls", mlflow.insecure_tls);
  if (const auto& error = fields.error()) return std::unexpected(*error);
  return mlflow;
}

Result<SourceSpec> SourceFromJson(const json& object, const std::string& path) {
  SourceSpec source;
  Fields fields(object, path);
  fields.Read("name", source.name, Presence::kRequired);
  fields.Read("uri", source.uri, Presence::kRequired);
  fields.Read("ca_bundle", source.ca_bundle, Presence::kOptional);
  fields.Read("auth_file", source.auth_file, Presence::kOptional);
  fields.Read("token_file", source.token_file, Presence::kOptional);
  if (const json* proxy = fields.Find("proxy", Presence::kOptional)) {
    auto settings = ProxyFromJson(*proxy, fields.Path("proxy"));
    if (!settings) return std::unexpected(settings.error());
    source.proxy = *std::move(settings);
  }
  if (const json* s3 = fields.Find("s3", Presence::kOptional)) {
    if (auto settings = S3FromJson(*s3, fields.Path("s3"))) {
      source.s3 = *std::move(settings);
    } else {
      fields.Adopt(settings.error());
    }
  }
  if (const json* mlflow = fields.Find("mlflow", Presence::kOptional)) {
    if (auto settings = MlflowFromJson(*mlflow, fields.Path("mlflow"))) {
      source.mlflow = *std::move(settings);
    } else {
      fields.Adopt(settings.error());
    }
  }
  fields.Read("models", source.models);
  if (const auto& error = fields.error()) return std::unexpected(*error);
  return source;
}

}  // namespace

json ToJson(const MountSpec& spec) {
  json sources = json::array();
  for (const SourceSpec& source : spec.sources) sources.push_back(ToJson(source));
  return {{"mountpoint", spec.mountpoint},
          {"sources", std::move(sources)},
          {"allow_other", spec.allow_other},
          {"uid", spec.uid},
          {"gid", spec.gid},
          {"umask", spec.umask},
          {"read_timeout_ms", spec.read_timeout.count()},
          {"listing_ttl_ms", spec.listing_ttl.count()},
          {"alias_poll_ms", spec.alias_poll.count()},
          {"warm_promotions", spec.warm_promotions},
          {"signature", Name(kSignaturePolicies, spec.signature)},
          {"signature_key", spec.signature_key},
          {"signature_ca", spec.signature_ca},
          {"config", ToJson(spec.config)}};
}

json ToJson(const DaemonSpec& spec) {
  return {{"cache_directory", spec.cache_directory},
          {"index_directory", spec.index_directory},
          {"cache_in_memory", spec.cache_in_memory},
          {"shared_cache", spec.shared_cache},
          {"shared_cache_size", AmountText(spec.shared_cache_size)},
          {"shared_segment_bytes", spec.shared_segment_bytes},
          {"chunk_size_bytes", spec.chunk_size_bytes},
          {"memory_bytes", spec.memory_bytes},
          {"io_backend", Name(kIoBackends, spec.io_backend)},
          {"cache_size", AmountText(spec.cache_size)},
          {"free_floor", AmountText(spec.free_floor)},
          {"bandwidth_limit", spec.bandwidth_limit},
          {"http", spec.http},
          {"http_token_file", spec.http_token_file},
          {"webhook_secret_file", spec.webhook_secret_file},
          {"log_level", spec.log_level},
          {"hold", spec.hold},
          {"resend", spec.resend},
          {"passthrough", spec.passthrough},
          {"control_socket", spec.control_socket}};
}

Result<MountSpec> MountSpecFromJson(const json& object) {
  MountSpec spec;
  Fields fields(object, "mount");
  fields.Read("mountpoint", spec.mountpoint, Presence::kRequired);
  if (const json* sources = fields.Find("sources", Presence::kRequired)) {
    if (!sources->is_array()) fields.Complain(fields.Path("sources"), "an array");
    for (std::size_t i = 0; !fields.error() && i < sources->size(); ++i) {
      auto source = SourceFromJson((*sources)[i], fmt::format("mount.sources[{}]", i));
      if (!source) return std::unexpected(source.error());
      spec.sources.push_back(*std::move(source));
    }
  }
  fields.Read("allow_other", spec.allow_other);
  fields.Read("uid", spec.uid);
  fields.Read("gid", spec.gid);
  fields.Read("umask", spec.umask);
  fields.Read("read_timeout_ms", spec.read_timeout);
  fields.Read("listing_ttl_ms", spec.listing_ttl);
  if (const json* config = fields.Find("config", Presence::kOptional)) {
    if (auto origin = ConfigOriginFromJson(*config)) {
      spec.config = *std::move(origin);
    } else {
      fields.Adopt(origin.error());
    }
  }
  fields.Read("alias_poll_ms", spec.alias_poll);
  fields.Read("warm_promotions", spec.warm_promotions);
  fields.ReadEnum("signature", kSignaturePolicies, spec.signature);
  fields.Read("signature_key", spec.signature_key, Presence::kOptional);
  fields.Read("signature_ca", spec.signature_ca, Presence::kOptional);
  if (const auto& error = fields.error()) return std::unexpected(*error);
  return spec;
}

Result<DaemonSpec> DaemonSpecFromJson(const json& object) {
  DaemonSpec spec;
  Fields fields(object, "daemon");
  fields.Read("cache_directory", spec.cache_directory, Presence::kRequired);
  fields.Read("index_directory", spec.index_directory, Presence::kOptional);
  fields.Read("cache_in_memory", spec.cache_in_memory);
  fields.Read("shared_cache", spec.shared_cache, Presence::kOptional);
  ReadAmount(fields, "shared_cache_size", spec.shared_cache_size);
  fields.Read("shared_segment_bytes", spec.shared_segment_bytes);
  fields.Read("chunk_size_bytes", spec.chunk_size_bytes);
  fields.Read("memory_bytes", spec.memory_bytes);
  fields.ReadEnum("io_backend", kIoBackends, spec.io_backend);
  ReadAmount(fields, "cache_size", spec.cache_size);
  ReadAmount(fields, "free_floor", spec.free_floor);
  fields.Read("bandwidth_limit", spec.bandwidth_limit);
  fields.Read("http", spec.http, Presence::kOptional);
  fields.Read("http_token_file", spec.http_token_file, Presence::kOptional);
  fields.Read("webhook_secret_file", spec.webhook_secret_file, Presence::kOptional);
  fields.Read("log_level", spec.log_level, Presence::kOptional);
  fields.Read("hold", spec.hold, Presence::kOptional);
  fields.Read("resend", spec.resend);
  fields.Read("passthrough", spec.passthrough);
  fields.Read("control_socket", spec.control_socket, Presence::kRequired);
  if (const auto& error = fields.error()) return std::unexpected(*error);
  return spec;
}

}  // namespace modelfs::fs
