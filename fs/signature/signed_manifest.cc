#include "fs/signature/signed_manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "fetch/base/base64.h"
#include "fetch/base/hex.h"
#include "fetch/base/sha256.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;

constexpr std::string_view kPayloadType = "application/vnd.in-toto+json";
constexpr std::string_view kPredicateType = "https://model_signing/signature/v1.0";
constexpr int kMaxDepth = 32;

std::unexpected<Error> Broken(std::string_view what) {
  return Fail(Errc::kCorrupt, fmt::format("it is no signature of a model: {}", what));
}

/// Parses without following a nesting that would take the stack.
json Parse(std::string_view text) {
  bool too_deep = false;
  json parsed = json::parse(
      text,
      [&](int depth, json::parse_event_t, json&) {
        too_deep |= depth > kMaxDepth;
        return !too_deep;
      },
      false);
  return too_deep ? json(json::value_t::discarded) : parsed;
}

const json& At(const json& object, std::string_view name) {
  static const json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

std::string TextAt(const json& object, std::string_view name) {
  const json& value = At(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::optional<std::string> Base64At(const json& object, std::string_view name) {
  const std::string text = TextAt(object, name);
  return text.empty() ? std::nullopt : Base64Decode(text);
}

/// DSSE's pre-authentication encoding: what was signed.
std::string SignedBytes(std::string_view payload) {
  return fmt::format("DSSEv1 {} {} {} {}", kPayloadType.size(), kPayloadType, payload.size(),
                     payload);
}

/// OpenSSL's name; empty: not one that we can compute.
std::string_view DigestName(std::string_view algorithm) {
  if (algorithm == "sha256") return "SHA256";
  if (algorithm == "blake2b") return "BLAKE2b512";
  return "";
}

std::string_view Raw(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Result<SignedManifest> ReadStatement(std::string_view payload) {
  const json statement = Parse(payload);
  if (const std::string type = TextAt(statement, "predicateType"); type != kPredicateType) {
    return Fail(Errc::kInvalid,
                fmt::format("its statement is of type '{}', and only {} is understood", type,
                            kPredicateType));
  }
  const json& predicate = At(statement, "predicate");
  if (const std::string method = TextAt(At(predicate, "serialization"), "method");
      method != "files") {
    return Fail(
        Errc::kInvalid,
        fmt::format("its digests are by '{}', and only those of whole files are understood: "
                    "sign without shards",
                    method));
  }
  const json& resources = At(predicate, "resources");
  if (!resources.is_array()) return Broken("no resources");
  SignedManifest manifest;
  std::string digests;
  for (const json& resource : resources) {
    const std::string name = TextAt(resource, "name");
    const std::string algorithm = TextAt(resource, "algorithm");
    const auto digest = FromHex(TextAt(resource, "digest"));
    if (name.empty() || !digest || digest->empty()) return Broken("a resource without a digest");
    const std::string_view known = DigestName(algorithm);
    if (known.empty()) {
      return Fail(Errc::kInvalid,
                  fmt::format("digests by '{}' are not understood: sign with sha256", algorithm));
    }
    digests += Raw(*digest);
    const bool added =
        manifest.files.emplace(name, SignedManifest::File{std::string(known), Hex(*digest)}).second;
    if (!added) return Broken("a file is named twice");
  }
  const json& subjects = At(statement, "subject");
  if (!subjects.is_array() || subjects.size() != 1 ||
      TextAt(At(subjects[0], "digest"), "sha256") != Hex(Sha256(digests))) {
    return Broken("its digest of all is not that of its files");
  }
  return manifest;
}

Result<SignedManifest> ReadBundle(std::string_view bundle, const TrustAnchor& anchor) {
  const json parsed = Parse(bundle);
  if (!parsed.is_object()) return Broken("no JSON object");
  const json& material = At(parsed, "verificationMaterial");
  const json& envelope = At(parsed, "dsseEnvelope");
  const json& signatures = At(envelope, "signatures");
  const auto payload = Base64At(envelope, "payload");
  if (!payload || TextAt(envelope, "payloadType") != kPayloadType) return Broken("no statement");
  if (!signatures.is_array() || signatures.size() != 1) return Broken("not one signature");
  const auto signature = Base64At(signatures[0], "sig");
  if (!signature) return Broken("no signature");
  TrustAnchor::Material signer{.key_hint = TextAt(At(material, "publicKey"), "hint"),
                               .certificates = {}};
  for (const json& certificate : At(At(material, "x509CertificateChain"), "certificates")) {
    auto der = Base64At(certificate, "rawBytes");
    if (!der) return Broken("a certificate without bytes");
    signer.certificates.push_back(*std::move(der));
  }
  if (At(material, "certificate").is_object()) {
    return Fail(Errc::kInvalid,
                "keyless signatures are not understood: sign with a key or a "
                "certificate");
  }
  if (auto checked = anchor.Check(signer, SignedBytes(*payload), *signature); !checked) {
    return std::unexpected(checked.error());
  }
  return ReadStatement(*payload);
}

}  // namespace modelfs::fs
