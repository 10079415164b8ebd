#include "fs/config/reload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "fs/config/setting_keys.h"

namespace modelfs::fs {
namespace {

/// What a mount command saw.
class RememberedEnvironment final : public Environment {
 public:
  explicit RememberedEnvironment(const ConfigOrigin& origin) : origin_(origin) {}
  std::optional<std::string> Get(std::string_view name) const override {
    const auto found = origin_.environment.find(std::string(name));
    if (found == origin_.environment.end() || found->second.empty()) return std::nullopt;
    return found->second;
  }
  uid_t uid() const override { return origin_.uid; }
  gid_t gid() const override { return origin_.gid; }
  std::filesystem::path home() const override { return origin_.home; }

 private:
  const ConfigOrigin& origin_;
};

bool IsOfInterest(const std::string& name) {
  static constexpr std::array<std::string_view, 6> kPrefixes{"AWS_", "MLFLOW_", "MODELFS_",
                                                             "XDG_", "SSL_",    "CURL_"};
  if (name == "HOME" || name == "REQUESTS_CA_BUNDLE") return true;
  if (std::ranges::any_of(kPrefixes, [&](auto prefix) { return name.starts_with(prefix); })) {
    return true;
  }
  std::string lower = name;
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower.ends_with("_proxy");
}

template <class Target>
Result<void> Apply(const ConfigOrigin::Texts& texts, std::span<const SettingKey<Target>> keys,
                   Target& target) {
  for (const auto& [name, value] : texts) {
    const auto key = std::ranges::find(keys, std::string_view(name), &SettingKey<Target>::key);
    if (key == keys.end()) return Fail(Errc::kInvalid, fmt::format("unknown key '{}'", name));
    if (auto ok = key->apply(value, target); !ok) {
      return Fail(Errc::kInvalid, fmt::format("{}: {}", key->flag, ok.error().what));
    }
  }
  return {};
}

}  // namespace

void RememberEnvironment(const Environment& env, ConfigOrigin& origin) {
  for (const std::string& name : env.Names()) {
    if (!IsOfInterest(name)) continue;
    if (auto value = env.Get(name)) origin.environment.emplace(name, *std::move(value));
  }
  origin.home = env.home().string();
  origin.uid = env.uid();
  origin.gid = env.gid();
}

Result<Config> LoadAgain(const ConfigOrigin& origin) {
  Settings flags;
  SourceSettings reach;
  if (auto ok = Apply(origin.flags, SettingKeys(), flags); !ok) return std::unexpected(ok.error());
  if (auto ok = Apply(origin.reach, SourceKeys(), reach); !ok) return std::unexpected(ok.error());
  for (const std::string& uri : origin.sources) {
    SourceSettings source = reach;
    source.where = "--source";
    source.uri = uri;
    flags.sources.push_back(std::move(source));
  }
  std::optional<std::filesystem::path> file;
  if (!origin.file.empty()) file = origin.file;
  return LoadConfig(flags, file, RememberedEnvironment(origin));
}

}  // namespace modelfs::fs
