#include "fs/cli/source_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "fs/cli/command.h"
#include "fs/config/cache_places.h"
#include "fs/config/reload.h"
#include "fs/config/setting_keys.h"

namespace modelfs::fs {
namespace {

/// Adds the flag of `key`; its value goes into `target`, which must outlive the parsing. `seen`
/// runs when the flag is there.
template <class Target>
CLI::Option* AddKey(CLI::App& command, const SettingKey<Target>& key, Target& target,
                    const std::function<void(const std::string& text)>& seen) {
  using Type = SettingKey<Target>::Type;
  const std::string flag(key.flag);
  const auto apply = [&key, &target, seen](const std::string& text) {
    static_cast<void>(key.apply(text, target));  // The check below let it pass.
    if (seen) seen(text);
  };
  if (key.type == Type::kSwitch) {
    return command.add_flag_callback(flag, [apply] { apply("true"); }, std::string(key.help));
  }
  const std::function<std::string(const std::string&)> complaint = [&key](const std::string& text) {
    Target scratch;
    auto ok = key.apply(text, scratch);
    return ok ? std::string() : ok.error().what;
  };
  return command.add_option_function<std::string>(flag, apply, std::string(key.help))
      ->type_name(std::string(key.value))
      ->check(complaint);
}

/// Values that are paths, absolute: another process has another working directory.
ConfigOrigin::Texts Absolute(ConfigOrigin::Texts texts) {
  for (auto& [key, value] : texts) {
    const bool is_path = key == "cache" || key == "index" || key == "shared_cache" ||
                         key == "ca_bundle" || key.ends_with("_file");
    if (is_path && !value.empty() && value != kCacheInMemory) value = AbsolutePath(value);
  }
  return texts;
}

}  // namespace

std::shared_ptr<SourceOptions> SourceOptions::Define(CLI::App& command) {
  auto options = std::make_shared<SourceOptions>();
  command
      .add_option("--source", options->sources_,
                  "s3://BUCKET[/PREFIX], http(s)://HOST/PATH or dir:/PATH, shown as "
                  "MOUNTPOINT/NAME; may be "
                  "repeated")
      ->type_name("[NAME=]URI")
      ->allow_extra_args(false)
      ->group("Sources");
  for (const auto& key : SourceKeys()) {
    AddKey(command, key, options->reach_, [o = options.get(), &key](const std::string& text) {
      o->reach_flag_ = key.flag;
      o->reach_given_.emplace_back(key.key, text);
    })->group("Sources");
  }
  command.add_option("--config", options->config_file_, "TOML file with sources and settings")
      ->type_name("FILE");
  for (const auto& key : SettingKeys()) {
    const bool later = key.help.ends_with(" yet)");
    AddKey(command, key, options->settings_, [o = options.get(), &key](const std::string& text) {
      o->given_.emplace_back(key.key, text);
    })->group(later ? "Accepted, without effect yet" : "Settings");
  }
  return options;
}

ConfigOrigin SourceOptions::Remember(const Environment& env) const {
  ConfigOrigin origin;
  if (config_file_) origin.file = AbsolutePath(*config_file_);
  origin.flags = Absolute(given_);
  origin.sources = sources_;
  origin.reach = Absolute(reach_given_);
  RememberEnvironment(env, origin);
  return origin;
}

Result<Settings> SourceOptions::Flags() const {
  Settings flags = settings_;
  if (sources_.empty() && !reach_flag_.empty()) {
    return Fail(Errc::kInvalid,
                fmt::format("{} says how to reach a --source, and there is none; in a file the key "
                            "stands in its [[source]]",
                            reach_flag_));
  }
  for (const auto& uri : sources_) {
    SourceSettings source = reach_;
    source.where = "--source";
    source.uri = uri;
    flags.sources.push_back(std::move(source));
  }
  return flags;
}

}  // namespace modelfs::fs
