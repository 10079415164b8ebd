#include "fetch/credentials/keys_document.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "fetch/base/percent.h"
#include "fetch/base/time_text.h"
#include "fetch/s3/xml.h"

namespace modelfs::fetch {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDocument = 1u << 20;

std::unexpected<Error> Bad(std::string what) { return Fail(Errc::kCorrupt, std::move(what)); }

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Result<TemporaryKeys> Make(Credentials keys, const std::string& expiration) {
  if (keys.access_key_id.empty() || keys.secret_access_key.empty()) {
    return Bad(fmt::format("the answer has no {}",
                           keys.access_key_id.empty() ? "AccessKeyId" : "SecretAccessKey"));
  }
  TemporaryKeys out{.keys = std::move(keys), .expires = std::nullopt};
  if (!expiration.empty()) {
    out.expires = ParseIso8601(expiration);
    if (!out.expires) {
      return Bad(fmt::format("Expiration '{}' is no time", Printable(expiration, 64)));
    }
  }
  return out;
}

}  // namespace

Result<TemporaryKeys> ParseKeysJson(std::string_view text) {
  if (text.size() > kMaxDocument) return Bad("the answer is larger than 1 MiB");
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return Bad("the answer is no JSON object");
  const std::string code = Text(object, "Code");
  if (!code.empty() && code != "Success") {
    return Fail(Errc::kDenied, fmt::format("it answers {}: {}", Printable(code, 64),
                                           Printable(Text(object, "Message"), 200)));
  }
  std::string token = Text(object, "SessionToken");
  if (token.empty()) token = Text(object, "Token");
  return Make({.access_key_id = Text(object, "AccessKeyId"),
               .secret_access_key = Text(object, "SecretAccessKey"),
               .session_token = std::move(token)},
              Text(object, "Expiration"));
}

Result<TemporaryKeys> ParseKeysXml(const std::string& text, std::string_view action) {
  pugi::xml_document document;
  if (text.size() > kMaxDocument || !document.load_buffer(text.data(), text.size(), kXmlFlags)) {
    return Bad("the answer is no XML");
  }
  const pugi::xml_node root = document.document_element();
  const pugi::xml_node keys = Child(Child(root, fmt::format("{}Result", action)), "Credentials");
  if (!keys) return Bad(fmt::format("the answer is no {}Response", action));
  return Make({.access_key_id = ChildText(keys, "AccessKeyId"),
               .secret_access_key = ChildText(keys, "SecretAccessKey"),
               .session_token = ChildText(keys, "SessionToken")},
              ChildText(keys, "Expiration"));
}

}  // namespace modelfs::fetch
