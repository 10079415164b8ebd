#include "fetch/s3/aws_profile.h"

#include <fmt/format.h>

#include <algorithm>

#include "fetch/base/text.h"

namespace modelfs::fetch {
namespace {

using Values = std::map<std::string, std::string, std::less<>>;
constexpr std::string_view kKeyId = "aws_access_key_id";
constexpr std::string_view kSecret = "aws_secret_access_key";
constexpr std::string_view kToken = "aws_session_token";

using Sections = std::map<std::string, Values, std::less<>>;  // By the text between the brackets.

// A comment inside a line needs a blank before it: keys and tokens may hold '#'.
std::string_view WithoutComment(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if ((text[i] == '#' || text[i] == ';') && (text[i - 1] == ' ' || text[i - 1] == '\t')) {
      return Trim(text.substr(0, i));
    }
  }
  return text;
}

// `profile "my name"` and `profile   x` name the profiles `my name` and `x`.
std::string NormalSection(std::string_view inside) {
  inside = Trim(inside);
  const std::size_t blank = inside.find_first_of(" \t");
  const auto unquoted = [](std::string_view text) {
    text = Trim(text);
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
        text.back() == text.front()) {
      text = text.substr(1, text.size() - 2);
    }
    return std::string(text);
  };
  if (blank == std::string_view::npos) return unquoted(inside);
  const std::string_view kind = inside.substr(0, blank);
  if (kind != "profile" && kind != "services" && kind != "sso-session") return unquoted(inside);
  return std::string(kind) + " " + unquoted(inside.substr(blank));
}

Result<Sections> ParseIni(std::string_view text, std::string_view file) {
  Sections sections;
  Values* section = nullptr;
  std::string parent;  // The key whose empty value opened a nested block.
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view raw = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view line = Trim(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    const auto bad = [&](std::string_view why) {
      return Fail(Errc::kInvalid, fmt::format("AWS {} file, line {}: {}", file, number, why));
    };
    if (line.front() == '[') {
      const std::size_t close = line.find(']');
      if (close == std::string_view::npos) return bad("a section name without ']'");
      section = &sections[NormalSection(line.substr(1, close - 1))];
      parent.clear();
      continue;
    }
    const bool indented = raw.front() == ' ' || raw.front() == '\t';
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      if (indented && section != nullptr) continue;  // The rest of a value over several lines.
      return bad("expected 'key = value'");
    }
    if (section == nullptr) return bad("a setting before the first [section]");
    const std::string key = Lower(Trim(line.substr(0, equals)));
    const std::string_view value = WithoutComment(Trim(line.substr(equals + 1)));
    if (indented && !parent.empty()) {
      (*section)[fmt::format("{}.{}", parent, key)] = value;
    } else {
      parent = value.empty() ? key : "";
      (*section)[key] = value;
    }
  }
  return sections;
}

const Values* Find(const Sections& sections, std::string_view name) {
  const auto found = sections.find(name);
  return found == sections.end() ? nullptr : &found->second;
}

std::string Get(const Values& values, std::string_view key) {
  const auto found = values.find(key);
  return found == values.end() ? std::string() : found->second;
}

}  // namespace

Result<AwsProfile> ParseAwsProfile(std::string_view credentials_text, std::string_view config_text,
                                   std::string_view name) {
  Result<Sections> credentials = ParseIni(credentials_text, "credentials");
  if (!credentials) return std::unexpected(credentials.error());
  Result<Sections> config = ParseIni(config_text, "config");
  if (!config) return std::unexpected(config.error());

  AwsProfile out;
  const auto merge = [&out](const Values* values) {
    if (values == nullptr) return;
    out.found = true;
    for (const auto& [key, value] : *values) {
      if (!value.empty()) out.values[key] = value;
    }
  };
  const Values* prefixed = Find(*config, fmt::format("profile {}", name));
  // [default] counts only where no [profile default] is there.
  if (name == "default" && prefixed == nullptr) merge(Find(*config, name));
  merge(prefixed);
  // Id, secret and token belong together: all are of one file or all of the other.
  if (const Values* const shared = Find(*credentials, name); shared != nullptr) {
    Values values = *shared;
    const bool has_keys = !Get(values, kKeyId).empty() || !Get(values, kSecret).empty();
    for (const std::string_view key : {kKeyId, kSecret, kToken}) {
      std::erase_if(has_keys ? out.values : values,
                    [key](const auto& v) { return v.first == key; });
    }
    merge(&values);
  }

  out.access_key_id = Get(out.values, kKeyId);
  out.secret_access_key = Get(out.values, kSecret);
  out.session_token = Get(out.values, kToken);
  out.region = Get(out.values, "region");
  out.endpoint_url = Get(out.values, "endpoint_url");
  out.ca_bundle = Get(out.values, "ca_bundle");
  out.s3_addressing_style = Lower(Get(out.values, "s3.addressing_style"));
  if (const std::string services = Get(out.values, "services"); !services.empty()) {
    if (const Values* values = Find(*config, "services " + services)) {
      out.s3_endpoint_url = Get(*values, "s3.endpoint_url");
      out.sts_endpoint_url = Get(*values, "sts.endpoint_url");
    }
  }
  return out;
}

}  // namespace modelfs::fetch
