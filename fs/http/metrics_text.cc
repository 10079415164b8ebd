#include "fs/http/metrics_text.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace modelfs::fs {
namespace {

/// Valid UTF-8 with backslash, quote and newline escaped.
std::string LabelValue(std::string_view raw) {
  const std::string dumped =
      nlohmann::json(raw).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const auto clean = nlohmann::json::parse(dumped, nullptr, false);
  std::string out;
  for (const char c : clean.get_ref<const std::string&>()) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

/// Whole numbers as such: a counter of bytes must not lose its last digits.
std::string Number(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (value == std::floor(value) && std::abs(value) <= kExact) {
    return fmt::format("{:.0f}", value);
  }
  return fmt::format("{}", value);
}

}  // namespace

void MetricsText::Family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                       type == Type::kCounter ? "counter" : "gauge");
}

void MetricsText::Sample(double value, Labels labels) {
  text_ += name_;
  char before = '{';
  for (const auto& [name, label] : labels) {
    text_ += fmt::format("{}{}=\"{}\"", before, name, LabelValue(label));
    before = ',';
  }
  if (before == ',') text_ += '}';
  text_ += fmt::format(" {}\n", Number(value));
}

void MetricsText::One(std::string_view name, Type type, std::string_view help, double value) {
  Family(name, type, help);
  Sample(value);
}

}  // namespace modelfs::fs
