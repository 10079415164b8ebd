#include "fetch/http_dir/listing_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "fetch/base/time_text.h"
#include "fetch/http/object_pin.h"
#include "fetch/http_dir/listing_html.h"

namespace modelfs::fetch {
namespace {

using nlohmann::json;
using std::chrono::system_clock;

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<std::uint64_t> Size(const json& object) {
  const auto found = object.find("size");
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

// Of nginx ("Tue, 24 Nov 2026 20:32:00 GMT"), ISO 8601, or seconds since the epoch.
std::optional<system_clock::time_point> Time(const json& object, const char* name) {
  constexpr std::int64_t kMaxSeconds = 253'402'300'800;  // The year 10000.
  const auto found = object.find(name);
  if (found == object.end()) return std::nullopt;
  if (found->is_number_integer()) {
    const auto seconds = found->get<std::int64_t>();
    if (seconds < 0 || seconds > kMaxSeconds) return std::nullopt;
    return system_clock::time_point(std::chrono::seconds(seconds));
  }
  if (!found->is_string()) return std::nullopt;
  const std::string text = found->get<std::string>();
  if (const auto time = ParseHttpDate(text)) return time;
  return ParseIso8601(text);
}

bool IsChild(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
}

std::optional<HttpListed> Parse(const json& item, ListingPlace place) {
  if (!item.is_object()) return std::nullopt;
  HttpListed out;
  out.name = Text(item, "name");
  const bool slash = out.name.ends_with('/');  // Caddy's directories.
  if (slash) out.name.pop_back();
  if (!IsChild(out.name)) return std::nullopt;
  const auto is_dir = item.find("is_dir");
  if (slash || Text(item, "type") == "directory" ||
      (is_dir != item.end() && *is_dir == json(true))) {
    out.kind = Entry::Kind::kDirectory;
    return out;
  }
  const auto modified = Time(item, "mtime");
  out.modified = modified.value_or(Time(item, "mod_time").value_or(system_clock::time_point{}));
  out.size_bytes = Size(item);
  if (place == ListingPlace::kIndexFile) {
    out.tag = Text(item, "etag");
  } else if (modified && out.size_bytes && Text(item, "type") == "file" &&
             ParseHttpDate(Text(item, "mtime"))) {
    out.tag = TimeTag(*modified);  // nginx: the same second that it sends as Last-Modified.
  }
  return out;
}

}  // namespace

Result<HttpListing> ParseJsonListing(std::string_view text, ListingPlace place) {
  const json document = json::parse(text, nullptr, false);
  const json* list = &document;
  if (document.is_object()) {
    const auto found = document.find("entries");
    if (found != document.end()) list = &*found;
  }
  if (!list->is_array()) {
    return Fail(Errc::kInvalid,
                "the JSON is no listing: expected an array of objects with a name, "
                "or {\"entries\": [...]}");
  }
  if (list->size() > kMaxListed) {
    return Fail(Errc::kCorrupt, fmt::format("more than {} names in one listing", kMaxListed));
  }
  HttpListing out;
  for (const json& item : *list) {
    if (auto entry = Parse(item, place)) {
      out.entries.push_back(*std::move(entry));
    } else {
      ++out.skipped;
    }
  }
  return out;
}

}  // namespace modelfs::fetch
