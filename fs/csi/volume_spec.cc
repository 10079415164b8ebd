#include "fs/csi/volume_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "fetch/base/percent.h"
#include "fs/config/setting_keys.h"
#include "fs/config/source_uri.h"
#include "fs/tree/names.h"

namespace modelfs::fs {
namespace {

/// Settings of `modelfs mount` that a volume may choose. What concerns the node (cache, http,
/// hold) is not among them.
constexpr std::array<std::string_view, 14> kFlags{
    "addressing", "alias_poll", "bandwidth_limit", "cache_size",   "endpoint",
    "gid",        "io",         "listing_ttl",     "memory",       "passthrough",
    "region",     "uid",        "umask",           "read_timeout",
};
constexpr std::array<std::string_view, 2> kOfKubernetes{"csi.storage.k8s.io/",
                                                        "storage.kubernetes.io/"};
constexpr std::size_t kLongest = 4096;

struct TextField {
  std::string_view name;
  std::string VolumeSpec::* field;
};
constexpr std::array<TextField, 6> kTexts{{
    {"source", &VolumeSpec::source},
    {"model", &VolumeSpec::model},
    {"version", &VolumeSpec::version},
    {"role_arn", &VolumeSpec::role_arn},
    {"sts_endpoint", &VolumeSpec::sts_endpoint},
    {"audience", &VolumeSpec::audience},
}};

std::unexpected<CsiError> Bad(std::string_view name, std::string_view what) {
  return CsiFail(CsiCode::kInvalidArgument, fmt::format("volume attribute '{}': {}", name, what));
}

/// Whether the flag of that name takes `value`; what is wrong with it.
template <class Target>
std::optional<std::string> Complaint(std::span<const SettingKey<Target>> keys, std::string name,
                                     const std::string& value) {
  std::ranges::replace(name, '_', '-');
  for (const auto& key : keys) {
    if (key.flag != "--" + name) continue;
    Target target;
    const auto taken = key.apply(value, target);
    return taken ? "" : taken.error().what;
  }
  return std::nullopt;
}

CsiResult<void> CheckFlag(const std::string& name, const std::string& value) {
  auto complaint = Complaint(SettingKeys(), name, value);
  if (!complaint) complaint = Complaint(SourceKeys(), name, value);
  if (complaint && complaint->empty()) return {};
  return Bad(name, complaint ? *complaint : "this version of modelfs does not know it");
}

bool IsOfKubernetes(std::string_view name) {
  return std::ranges::any_of(kOfKubernetes,
                             [&](std::string_view prefix) { return name.starts_with(prefix); });
}

CsiResult<void> CheckSource(const VolumeSpec& spec) {
  if (spec.source.empty()) {
    return Bad("source", "is missing: mlflow:http(s)://HOST, s3://BUCKET[/PREFIX] or http(s)://…");
  }
  if (spec.source.starts_with("dir:")) {
    return Bad("source", "dir: would show folders of the node to pods");
  }
  const auto uri = ParseSourceUri(fmt::format("{}={}", kSourceName, spec.source));
  if (!uri) return Bad("source", uri.error().what);
  return {};
}

CsiResult<void> CheckModel(const VolumeSpec& spec) {
  if (spec.model.empty()) {
    if (!spec.version.empty()) return Bad("version", "needs 'model'");
    return {};
  }
  if (!spec.IsMlflow()) return Bad("model", "needs a 'source' of mlflow:…");
  if (!EscapeName(spec.model)) return Bad("model", "is no name of a model");
  if (spec.version.empty() || spec.version == "latest") return {};
  const bool number =
      std::ranges::all_of(spec.version, [](char c) { return c >= '0' && c <= '9'; });
  const bool alias = spec.version.size() > 1 && spec.version.front() == '@';
  if (!number && !(alias && EscapeName(spec.version))) {
    return Bad("version", fmt::format("'{}' is neither a number nor latest nor @ALIAS",
                                      Printable(spec.version, 64)));
  }
  return {};
}

}  // namespace

std::string VolumeSpec::PathInMount() const {
  if (!IsMlflow()) return std::string(kSourceName);
  if (model.empty()) return "";
  const std::string shown = EscapeName(model).value_or("");
  return version.empty() ? shown : fmt::format("{}/{}", shown, EscapeName(version).value_or(""));
}

CsiResult<VolumeSpec> ParseVolume(const StringMap& attributes) {
  VolumeSpec spec;
  for (const auto& [name, value] : attributes) {
    if (IsOfKubernetes(name)) continue;
    const bool control =
        std::ranges::any_of(value, [](unsigned char c) { return c < ' ' || c == 0x7f; });
    if (control || value.size() > kLongest) {
      return Bad(Printable(name, 64), "is too long, or not one line");
    }
    const auto text = std::ranges::find(kTexts, name, &TextField::name);
    if (text != kTexts.end()) {
      spec.*text->field = value;
    } else if (name == "anonymous") {
      if (value != "true" && value != "false") return Bad(name, "is neither true nor false");
      spec.anonymous = value == "true";
    } else if (std::ranges::find(kFlags, name) != kFlags.end()) {
      if (value.empty()) return Bad(name, "is empty");
      if (auto ok = CheckFlag(name, value); !ok) return std::unexpected(std::move(ok.error()));
      spec.flags.emplace_back(name, value);
    } else {
      return Bad(Printable(name, 64), "there is none of that name");
    }
  }
  if (auto ok = CheckSource(spec); !ok) return std::unexpected(std::move(ok.error()));
  if (auto ok = CheckModel(spec); !ok) return std::unexpected(std::move(ok.error()));
  if (!spec.role_arn.empty() && spec.source.starts_with("http")) {
    return Bad("role_arn", "is for S3");
  }
  return spec;
}

nlohmann::json ToJson(const VolumeSpec& spec) {
  nlohmann::json json{{"anonymous", spec.anonymous}, {"flags", spec.flags}};
  for (const TextField& text : kTexts) json[std::string(text.name)] = spec.*text.field;
  return json;
}

std::optional<VolumeSpec> VolumeSpecFromJson(const nlohmann::json& json) {
  try {
    VolumeSpec spec;
    spec.anonymous = json.at("anonymous").get<bool>();
    spec.flags = json.at("flags").get<decltype(spec.flags)>();
    for (const TextField& text : kTexts) {
      spec.*text.field = json.at(std::string(text.name)).get<std::string>();
    }
    return spec;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::string FirstDifference(const VolumeSpec& a, const VolumeSpec& b) {
  for (const TextField& text : kTexts) {
    if (a.*text.field != b.*text.field) return std::string(text.name);
  }
  if (a.anonymous != b.anonymous) return "anonymous";
  if (a.flags == b.flags) return "";
  const auto [left, right] = std::ranges::mismatch(a.flags, b.flags);
  return left != a.flags.end() ? left->first : right->first;
}

}  // namespace modelfs::fs
