#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace modelfs::fs {

// Fields of a daemon's answers, which another version of us may have written: what is missing or of
// another type reads as nothing, never as an error.

inline std::optional<std::uint64_t> MaybeNumber(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto field = object.find(key);
  if (field == object.end() || !field->is_number()) return std::nullopt;
  const double value = field->get<double>();
  if (field->is_number_unsigned()) return field->get<std::uint64_t>();
  return value > 0 && value < 1e18 ? static_cast<std::uint64_t>(value) : 0;
}

inline std::uint64_t NumberField(const nlohmann::json& object, const char* key) {
  return MaybeNumber(object, key).value_or(0);
}

inline std::string TextField(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto field = object.find(key);
  return field != object.end() && field->is_string() ? field->get<std::string>() : std::string();
}

/// Null when it is missing.
inline nlohmann::json ChildField(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto field = object.find(key);
  return field != object.end() ? *field : nlohmann::json();
}

}  // namespace modelfs::fs
