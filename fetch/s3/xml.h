#pragma once

#include <pugixml.hpp>
#include <string>
#include <string_view>

namespace modelfs::fetch {

/// Flags for S3's answers: entities and CDATA resolved, blanks that are all of a text kept. pugixml
/// knows no DTD entities and nests without recursion, so hostile documents cost only their size.
inline constexpr unsigned kXmlFlags = pugi::parse_default | pugi::parse_ws_pcdata_single;

/// An element's name without its namespace prefix: servers differ in it.
inline std::string_view LocalName(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const std::size_t colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

/// The first child element of that local name, or a null node.
inline pugi::xml_node Child(const pugi::xml_node& parent, std::string_view name) {
  for (const pugi::xml_node& child : parent.children()) {
    if (child.type() == pugi::node_element && LocalName(child) == name) return child;
  }
  return {};
}

/// All text directly inside, CDATA too; "" when there is none.
inline std::string Text(const pugi::xml_node& node) {
  std::string out;
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) out += child.value();
  }
  return out;
}

inline std::string ChildText(const pugi::xml_node& parent, std::string_view name) {
  return Text(Child(parent, name));
}

}  // namespace modelfs::fetch
