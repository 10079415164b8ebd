#include "tests/support/origin/fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace modelfs::test {
namespace {

using Kind = Fault::Kind;

constexpr auto kNames = std::to_array<std::pair<Kind, std::string_view>>({
    {Kind::kStatus, "status"},
    {Kind::kDrop, "drop"},
    {Kind::kStall, "stall"},
    {Kind::kWrongContentRange, "wrong_content_range"},
    {Kind::kIgnoreRange, "ignore_range"},
    {Kind::kShortBody, "short_body"},
    {Kind::kLongBody, "long_body"},
    {Kind::kFlipByte, "flip_byte"},
    {Kind::kStaleEtag, "stale_etag"},
    {Kind::kGzipHeader, "gzip_header"},
    {Kind::kRedirect, "redirect"},
    {Kind::kDelay, "delay"},
    {Kind::kRate, "rate"},
    {Kind::kChunked, "chunked"},
    {Kind::kBrokenXml, "broken_xml"},
});

template <class T>
bool Take(const nlohmann::json& object, const char* name, T& out) {
  const auto found = object.find(name);
  if (found == object.end()) return true;
  if constexpr (std::is_same_v<T, std::string>) {
    if (!found->is_string()) return false;
  } else {
    if (!found->is_number() || found->template get<double>() < 0) return false;
  }
  out = found->template get<T>();
  return true;
}

std::optional<Fault> ParseFault(const nlohmann::json& json) {
  if (!json.is_object()) return std::nullopt;
  std::string type;
  if (!Take(json, "type", type)) return std::nullopt;
  const auto named =
      std::find_if(kNames.begin(), kNames.end(), [&](const auto& n) { return n.second == type; });
  if (named == kNames.end()) return std::nullopt;
  Fault fault{.kind = named->first};
  if (fault.kind == Kind::kRedirect) fault.status = 307;
  if (fault.kind == Kind::kShortBody || fault.kind == Kind::kLongBody) fault.count_bytes = 1;
  std::int64_t delay_ms = 0;
  int retry_after = -1;
  if (!Take(json, "status", fault.status) || !Take(json, "code", fault.code) ||
      !Take(json, "bytes", fault.count_bytes) || !Take(json, "location", fault.location) ||
      !Take(json, "ms", delay_ms) || !Take(json, "rate", fault.rate) ||
      !Take(json, "retry_after", retry_after)) {
    return std::nullopt;
  }
  fault.delay = std::chrono::milliseconds(delay_ms);
  if (retry_after >= 0) fault.retry_after = retry_after;
  return fault;
}

std::optional<FaultRule> ParseRule(const nlohmann::json& json) {
  if (!json.is_object()) return std::nullopt;
  FaultRule rule;
  if (const auto match = json.find("match"); match != json.end()) {
    if (!match->is_object() || !Take(*match, "method", rule.method) ||
        !Take(*match, "key", rule.key) || !Take(*match, "nth", rule.nth) ||
        !Take(*match, "count", rule.count)) {
      return std::nullopt;
    }
  }
  const auto faults = json.find("fault");
  if (faults == json.end() || rule.nth == 0) return std::nullopt;
  const nlohmann::json list = faults->is_array() ? *faults : nlohmann::json::array({*faults});
  for (const nlohmann::json& one : list) {
    auto fault = ParseFault(one);
    if (!fault) return std::nullopt;
    rule.faults.push_back(*std::move(fault));
  }
  return rule;
}

}  // namespace

std::string_view ToString(Fault::Kind kind) {
  for (const auto& [known, name] : kNames) {
    if (known == kind) return name;
  }
  return "?";
}

Result<std::vector<FaultRule>> ParseFaultScript(const nlohmann::json& script) {
  if (!script.is_array()) return Fail(Errc::kInvalid, "a fault script is a JSON list");
  std::vector<FaultRule> rules;
  for (std::size_t i = 0; i < script.size(); ++i) {
    auto rule = ParseRule(script[i]);
    if (!rule) {
      return Fail(Errc::kInvalid,
                  fmt::format("entry {} of the fault script: {}", i, script[i].dump()));
    }
    rules.push_back(*std::move(rule));
  }
  return rules;
}

void FaultScript::Set(std::vector<FaultRule> rules) {
  const MutexLock lock(mutex_);
  rules_.clear();
  for (FaultRule& rule : rules) rules_.push_back({.rule = std::move(rule)});
}

std::vector<Fault> FaultScript::Next(std::string_view method, std::string_view name) {
  const MutexLock lock(mutex_);
  for (Counted& counted : rules_) {
    const FaultRule& rule = counted.rule;
    if ((!rule.method.empty() && rule.method != method) ||
        name.find(rule.key) == std::string_view::npos) {
      continue;
    }
    const std::uint64_t number = ++counted.seen;
    if (number >= rule.nth && (rule.count == 0 || number < rule.nth + rule.count)) {
      return rule.faults;
    }
  }
  return {};
}

}  // namespace modelfs::test
