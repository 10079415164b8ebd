#include "fs/config/config_origin.h"

#include <limits>

namespace modelfs::fs {
namespace {

using nlohmann::json;

std::unexpected<Error> Bad() {
  return Fail(Errc::kInvalid, "mount.config is not what this version writes");
}

bool ReadText(const json& object, const char* name, std::string& out) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return false;
  out = found->get<std::string>();
  return true;
}

bool ReadId(const json& object, const char* name, std::uint32_t& out) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_unsigned()) return false;
  const auto value = found->get<std::uint64_t>();
  if (value > std::numeric_limits<std::uint32_t>::max()) return false;
  out = static_cast<std::uint32_t>(value);
  return true;
}

bool ReadTexts(const json& object, const char* name, ConfigOrigin::Texts& out) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_array()) return false;
  for (const json& pair : *found) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
      return false;
    }
    out.emplace_back(pair[0].get<std::string>(), pair[1].get<std::string>());
  }
  return true;
}

bool ReadRest(const json& object, ConfigOrigin& out) {
  const auto sources = object.find("sources");
  const auto environment = object.find("environment");
  const auto leads = object.find("leads");
  if (sources == object.end() || !sources->is_array() || environment == object.end() ||
      !environment->is_object() || leads == object.end() || !leads->is_boolean()) {
    return false;
  }
  for (const json& source : *sources) {
    if (!source.is_string()) return false;
    out.sources.push_back(source.get<std::string>());
  }
  for (const auto& [name, value] : environment->items()) {
    if (!value.is_string()) return false;
    out.environment.emplace(name, value.get<std::string>());
  }
  out.leads = leads->get<bool>();
  return true;
}

json Pairs(const ConfigOrigin::Texts& texts) {
  json list = json::array();
  for (const auto& [key, value] : texts) list.push_back(json::array({key, value}));
  return list;
}

}  // namespace

json ToJson(const ConfigOrigin& origin) {
  return {{"file", origin.file},
          {"flags", Pairs(origin.flags)},
          {"sources", origin.sources},
          {"reach", Pairs(origin.reach)},
          {"environment", json(origin.environment)},
          {"home", origin.home},
          {"uid", origin.uid},
          {"gid", origin.gid},
          {"leads", origin.leads}};
}

Result<ConfigOrigin> ConfigOriginFromJson(const json& object) {
  ConfigOrigin origin;
  if (!object.is_object() || !ReadText(object, "file", origin.file) ||
      !ReadText(object, "home", origin.home) || !ReadTexts(object, "flags", origin.flags) ||
      !ReadTexts(object, "reach", origin.reach) || !ReadId(object, "uid", origin.uid) ||
      !ReadId(object, "gid", origin.gid) || !ReadRest(object, origin)) {
    return Bad();
  }
  return origin;
}

}  // namespace modelfs::fs
