#include "fs/config/toml_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "fs/config/cache_places.h"
#include "fs/config/setting_keys.h"

// Errors as values, which the distribution's shared library is not built for.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;

class Reader {
 public:
  Reader(std::string_view name, const stdfs::path& folder) : name_(name), folder_(folder) {}

  Result<Settings> Read(const toml::table& root) {
    Settings settings;
    if (auto ok = ReadTable(root, "", settings); !ok) return std::unexpected(ok.error());
    for (auto* path : {&settings.cache, &settings.index, &settings.shared_cache,
                       &settings.http_token_file, &settings.webhook_secret_file, &settings.hold,
                       &settings.signature_key, &settings.signature_ca}) {
      if (*path && *path != kCacheInMemory) *path = Absolute(**path);
    }
    for (auto& source : settings.sources) {
      for (auto* path : {&source.ca_bundle, &source.auth_file, &source.token_file}) {
        if (*path) *path = Absolute(**path);
      }
    }
    return settings;
  }

 private:
  std::string Absolute(const std::string& path) const {
    return (folder_ / path).lexically_normal().string();
  }

  std::unexpected<Error> Bad(const toml::source_region& at, std::string_view what) const {
    return Fail(Errc::kInvalid, fmt::format("{}:{}: {}", name_, at.begin.line, what));
  }

  /// The value as the text that a flag would get; nullopt for a type that `key` does not take.
  template <class Target>
  static std::optional<std::string> ValueText(const toml::node& node,
                                              const SettingKey<Target>& key) {
    using Type = SettingKey<Target>::Type;
    if (key.type == Type::kSwitch) {
      if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
      return std::nullopt;
    }
    if (const auto* value = node.as_string()) return value->get();
    if (const auto* value = node.as_integer(); value && key.type == Type::kNumber) {
      return std::to_string(value->get());
    }
    return std::nullopt;
  }

  template <class Target>
  static std::string_view TypeName(const SettingKey<Target>& key) {
    using Type = SettingKey<Target>::Type;
    switch (key.type) {
      case Type::kText: return "a string";
      case Type::kNumber: return "a string or an integer";
      case Type::kSwitch: return "true or false";
    }
    return "";
  }

  template <class Target>
  Result<void> Apply(const std::string& path, const toml::node& node,
                     std::span<const SettingKey<Target>> keys, Target& target) const {
    for (const auto& key : keys) {
      if (key.key != path) continue;
      const auto text = ValueText(node, key);
      if (!text) return Bad(node.source(), fmt::format("{} must be {}", path, TypeName(key)));
      if (auto ok = key.apply(*text, target); !ok) {
        return Bad(node.source(), fmt::format("{}: {}", path, ok.error().what));
      }
      return {};
    }
    return Bad(node.source(), fmt::format("unknown key '{}'", path));
  }

  static bool IsSection(const std::string& path) {
    for (const auto& key : SettingKeys()) {
      if (key.key.starts_with(path + ".")) return true;
    }
    return false;
  }

  Result<void> ReadTable(const toml::table& table, const std::string& section, Settings& settings) {
    for (const auto& [name, node] : table) {
      const std::string path = section + std::string(name.str());
      if (path == "source") {
        if (auto ok = ReadSources(node, settings); !ok) return ok;
      } else if (const auto* child = node.as_table(); child != nullptr && IsSection(path)) {
        if (auto ok = ReadTable(*child, path + ".", settings); !ok) return ok;
      } else if (IsSection(path)) {
        return Bad(node.source(), fmt::format("{} is a section; write [{}]", path, path));
      } else if (auto ok = Apply(path, node, SettingKeys(), settings); !ok) {
        return ok;
      }
    }
    return {};
  }

  Result<void> ReadSources(const toml::node& node, Settings& settings) {
    const auto* list = node.as_array();
    if (list == nullptr) return Bad(node.source(), "source is a list; write [[source]]");
    for (const auto& item : *list) {
      const auto* table = item.as_table();
      if (table == nullptr) return Bad(item.source(), "source is a list; write [[source]]");
      auto source = ReadSource(*table);
      if (!source) return std::unexpected(source.error());
      settings.sources.push_back(*std::move(source));
    }
    return {};
  }

  Result<SourceSettings> ReadSource(const toml::table& table) {
    SourceSettings source;
    source.where = fmt::format("{}:{}", name_, table.source().begin.line);
    for (const auto& [name, node] : table) {
      const std::string key(name.str());
      Result<void> ok;
      if (key == "uri" || key == "name") {
        const auto* text = node.as_string();
        if (text == nullptr) return Bad(node.source(), fmt::format("{} must be a string", key));
        if (key == "uri") source.uri = text->get();
        if (key == "name") source.name = text->get();
      } else if (key == "models") {
        ok = ReadModels(node, source);
      } else {
        ok = Apply(key, node, SourceKeys(), source);
      }
      if (!ok) return std::unexpected(ok.error());
    }
    if (source.uri.empty()) return Bad(table.source(), "this [[source]] has no uri");
    return source;
  }

  Result<void> ReadModels(const toml::node& node, SourceSettings& source) {
    const auto* list = node.as_array();
    if (list == nullptr) return Bad(node.source(), "models must be a list of strings");
    for (const auto& item : *list) {
      const auto* text = item.as_string();
      if (text == nullptr) return Bad(item.source(), "models must be a list of strings");
      source.models.push_back(text->get());
    }
    return {};
  }

  std::string name_;
  stdfs::path folder_;
};

/// Whether the quote at `at` stands where a string may begin: not within a number or a word, and
/// not as a key where it has three of them.
bool BeginsString(std::string_view text, std::size_t at) {
  if (text.substr(at, 3) == std::string(3, text[at])) {
    const std::size_t before = text.substr(0, at).find_last_not_of(" \t\r\n");
    return before != std::string_view::npos && std::string_view("=[,").contains(text[before]);
  }
  return at == 0 || std::string_view(" \t\r\n=[,{.").contains(text[at - 1]);
}

/// How far the string that begins at `at` reaches: behind its closing quotes; where it breaks off,
/// `at`. Requires: a quote at `at`.
std::size_t EndOfString(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const bool multi_line = text.substr(at, 3) == std::string(3, quote);
  const std::string closing(multi_line ? 3 : 1, quote);
  for (std::size_t i = at + closing.size(); i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text.substr(i).starts_with(closing)) {
      return i + closing.size();
    } else if (!multi_line && text[i] == '\n') {
      break;
    }
  }
  return at;
}

std::optional<std::size_t> FindNoAscii(std::string_view text, std::size_t from) {
  for (std::size_t i = from; i < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) >= 0x80) return i;
  }
  return std::nullopt;
}

/// The place of the first byte that is no ASCII, outside of strings and comments. None belongs
/// there, and Debian's toml++ 3.3 runs into code that it calls unreachable when it meets some.
std::optional<std::size_t> FindMisplaced(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::size_t i = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  while (i < text.size()) {
    if (text[i] == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (text[i] == '"' || text[i] == '\'') {
      const std::size_t end = BeginsString(text, i) ? EndOfString(text, i) : i;
      if (end == i) return FindNoAscii(text, i);  // No TOML: what follows is no string for sure.
      i = end;
    } else if (static_cast<unsigned char>(text[i]) >= 0x80) {
      return i;
    } else {
      ++i;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Settings> ParseToml(std::string_view text, std::string_view name,
                           const stdfs::path& folder) {
  if (const auto at = FindMisplaced(text)) {
    return Fail(Errc::kInvalid,
                fmt::format("{}:{}: a character that is no ASCII belongs into quotes", name,
                            1 + std::ranges::count(text.substr(0, *at), '\n')));
  }
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    return Fail(Errc::kInvalid, fmt::format("{}:{}: {}", name, parsed.error().source().begin.line,
                                            parsed.error().description()));
  }
  return Reader(name, folder).Read(parsed.table());
}

Result<Settings> ReadTomlFile(const stdfs::path& file) {
  errno = 0;
  std::ifstream in(file);
  std::ostringstream text;
  if (!in) return FailErrno(errno, fmt::format("read configuration file '{}'", file.string()));
  text << in.rdbuf();
  std::error_code error;
  if (in.bad() || stdfs::is_directory(file, error)) {
    return FailErrno(EISDIR, fmt::format("read configuration file '{}'", file.string()));
  }
  return ParseToml(text.str(), file.string(), stdfs::absolute(file).parent_path());
}

}  // namespace modelfs::fs
