#include "tests/support/origin/control_service.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/support/origin/publication.h"
#include "tests/support/origin/url.h"

namespace modelfs::test {
namespace {

using Json = nlohmann::json;

/// Bytes that are no UTF-8 are replaced; "path" holds them percent-encoded.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

double Seconds(std::chrono::microseconds time) {
  return std::chrono::duration<double>(time).count();
}

Json ToJson(const LogEntry& entry) {
  return {{"id", entry.id},
          {"connection", entry.connection},
          {"method", entry.method},
          {"path", entry.path},
          {"query", entry.query},
          {"key", entry.name},
          {"range_begin", entry.range ? Json(entry.range->begin) : Json()},
          {"range_end", entry.range ? Json(entry.range->end) : Json()},
          {"status", entry.status},
          {"body_bytes", entry.body_bytes},
          {"fault", entry.fault},
          {"start", Seconds(entry.start)},
          {"end", entry.end ? Json(Seconds(*entry.end)) : Json()}};
}

Json ToJson(const OriginStats& stats) {
  Json keys = Json::object();
  for (const auto& [name, key] : stats.keys) {
    keys[PercentEncode(name, "/")] = {{"gets", key.gets}, {"body_bytes", key.body_bytes}};
  }
  return {{"requests", stats.requests},
          {"object_gets", stats.object_gets},
          {"list_requests", stats.list_requests},
          {"heads", stats.heads},
          {"puts", stats.puts},
          {"object_body_bytes", stats.object_body_bytes},
          {"keys", std::move(keys)}};
}

Json ToJson(const LinkOptions& link) {
  return {{"latency", fmt::format("{}us", link.latency.count())},
          {"connection_rate", link.connection_rate},
          {"total_rate", link.total_rate}};
}

std::string Text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<std::uint64_t> Number(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

Result<void> PutOne(const Json& json, ObjectStore& store) {
  const std::string bucket = Text(json, "bucket");
  const std::string key =
      json.contains("key_url") ? PercentDecode(Text(json, "key_url")) : Text(json, "key");
  if (bucket.empty() || key.empty()) return Fail(Errc::kInvalid, "bucket or key is missing");
  if (json.contains("text")) {
    store.PutBytes(bucket, key, Text(json, "text"));
  } else if (json.contains("file")) {
    std::ifstream in(Text(json, "file"), std::ios::binary);
    if (!in) return Fail(Errc::kIo, "cannot read " + Text(json, "file"));
    store.PutBytes(bucket, key, {std::istreambuf_iterator<char>(in), {}});
  } else if (const auto size = Number(json, "size")) {
    store.PutPattern(bucket, key, *size, Number(json, "seed").value_or(1));
  } else {
    return Fail(Errc::kInvalid, "one of text, file, size is needed");
  }
  return {};
}

std::optional<fetch::ChecksumKind> KindOf(const std::string& name) {
  using enum fetch::ChecksumKind;
  if (name == "crc64nvme") return kCrc64Nvme;
  if (name == "crc32") return kCrc32;
  if (name == "crc32c") return kCrc32c;
  if (name == "sha1") return kSha1;
  if (name == "sha256") return kSha256;
  if (name == "md5") return kMd5;
  return std::nullopt;
}

Result<void> PublishOne(const Json& json, ObjectStore& store) {
  Publication publication;
  publication.part_size_bytes = Number(json, "part_size").value_or(0);
  publication.wrong = json.value("wrong", Json(false)) == Json(true);
  const auto kinds = json.find("kinds");
  if (kinds == json.end() || !kinds->is_array()) return Fail(Errc::kInvalid, "kinds is a list");
  for (const Json& name : *kinds) {
    const auto kind = KindOf(name.is_string() ? name.get<std::string>() : "");
    if (!kind) return Fail(Errc::kInvalid, "no such kind of checksum: " + Dump(name));
    publication.kinds.push_back(*kind);
  }
  return store.Publish(Text(json, "bucket"), Text(json, "key"), publication);
}

Result<void> PublishChecksums(const Json& list, ObjectStore& store) {
  if (!list.is_array()) return Fail(Errc::kInvalid, "checksums are a JSON list");
  for (const Json& one : list) {
    auto done = one.is_object() ? PublishOne(one, store) : Fail(Errc::kInvalid, "no JSON object");
    if (!done) return Fail(Errc::kInvalid, fmt::format("{}: {}", Dump(one), done.error().what));
  }
  return {};
}

}  // namespace

Result<void> PutObjects(const Json& list, ObjectStore& store) {
  if (!list.is_array()) return Fail(Errc::kInvalid, "objects are a JSON list");
  for (const Json& one : list) {
    auto put = one.is_object() ? PutOne(one, store) : Fail(Errc::kInvalid, "no JSON object");
    if (!put) return Fail(put.error().code, fmt::format("{}: {}", Dump(one), put.error().what));
  }
  return {};
}

S3Reply ControlService::Handle(const std::string& method, const std::string& what,
                               const std::string& body) {
  auto text = method == "GET" ? Get(what) : Post(what, body);
  S3Reply reply;
  if (!text) {
    reply.status = text.error().code == Errc::kNotFound ? 404 : 400;
    text = Dump({{"error", text.error().what}}) + "\n";
  }
  reply.text = *std::move(text);
  reply.SetHeader("Content-Type", "application/json");
  return reply;
}

Result<std::string> ControlService::Get(const std::string& what) const {
  if (what == "log") {
    std::string lines;
    for (const LogEntry& entry : log_->Entries()) lines += Dump(ToJson(entry)) + '\n';
    return lines;
  }
  if (what == "stats") {
    Json json = ToJson(log_->Stats());
    json["stalled"] = link_->stalled();
    return Dump(json) + '\n';
  }
  if (what == "link") return Dump(ToJson(link_->options())) + '\n';
  return Fail(Errc::kNotFound, "GET log, stats or link");
}

Result<std::string> ControlService::Post(const std::string& what, const std::string& body) {
  if (what == "reset") {
    log_->Reset();
    return "{}\n";
  }
  if (what == "release") {
    link_->Release();
    return "{}\n";
  }
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return Fail(Errc::kInvalid, "the body is no JSON");
  if (what == "link") {
    if (auto set = SetLink(json); !set) return std::unexpected(set.error());
  } else if (what == "faults") {
    auto rules = ParseFaultScript(json);
    if (!rules) return std::unexpected(rules.error());
    faults_->Set(*std::move(rules));
  } else if (what == "objects") {
    if (auto put = PutObjects(json, *store_); !put) return std::unexpected(put.error());
  } else if (what == "checksums") {
    if (auto done = PublishChecksums(json, *store_); !done) return std::unexpected(done.error());
  } else {
    return Fail(Errc::kNotFound, "POST reset, link, faults, release, objects or checksums");
  }
  return "{}\n";
}

Result<void> ControlService::SetLink(const Json& json) {
  if (!json.is_object()) return Fail(Errc::kInvalid, "the link is a JSON object");
  LinkOptions link = link_->options();
  for (const auto& [name, value] : json.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (name == "latency") {
      const auto latency = ParseDuration(text);
      if (!latency) return std::unexpected(latency.error());
      link.latency = *latency;
    } else if (name == "connection_rate" || name == "total_rate") {
      const auto rate = ParseRate(text);
      if (!rate) return std::unexpected(rate.error());
      (name == "total_rate" ? link.total_rate : link.connection_rate) = *rate;
    } else {
      return Fail(Errc::kInvalid, "unknown setting " + name);
    }
  }
  link_->Set(link);
  return {};
}

}  // namespace modelfs::test
