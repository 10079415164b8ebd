#include "fetch/s3/s3_checksums.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "fetch/base/base64.h"
#include "fetch/base/percent.h"
#include "fetch/base/text.h"
#include "fetch/http/object_pin.h"
#include "fetch/s3/xml.h"

namespace modelfs::fetch {
namespace {

constexpr int kMaxPages = 10;  // S3 takes at most 10,000 parts.
constexpr std::uint64_t kMaxPartBytes = 1ull << 48;

struct Kind {
  ChecksumKind kind;
  std::string_view header;   ///< Of HEAD.
  std::string_view element;  ///< Of GetObjectAttributes.
  std::size_t bytes;
};
// In the order of preference: one kind of parts is enough, and a CRC composes without reading
// again.
constexpr std::array<Kind, 5> kKinds{{
    {ChecksumKind::kCrc64Nvme, "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 8},
    {ChecksumKind::kCrc32c, "x-amz-checksum-crc32c", "ChecksumCRC32C", 4},
    {ChecksumKind::kCrc32, "x-amz-checksum-crc32", "ChecksumCRC32", 4},
    {ChecksumKind::kSha256, "x-amz-checksum-sha256", "ChecksumSHA256", 32},
    {ChecksumKind::kSha1, "x-amz-checksum-sha1", "ChecksumSHA1", 20},
}};

std::optional<std::string> Value(std::string_view text, const Kind& kind) {
  auto bytes = Base64Decode(text);
  if (!bytes || bytes->size() != kind.bytes) return std::nullopt;
  return bytes;
}

std::optional<std::uint64_t> Number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::string> Md5OfEtag(const HttpResponse& head) {
  std::string_view etag = head.Header("etag");
  if (etag.size() != 34 || etag.front() != '"' || etag.back() != '"') return std::nullopt;
  if (head.Header("x-amz-server-side-encryption").starts_with("aws:kms") ||
      !head.Header("x-amz-server-side-encryption-customer-algorithm").empty()) {
    return std::nullopt;
  }
  etag = etag.substr(1, 32);
  std::string out;
  for (std::size_t i = 0; i < etag.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(etag.data() + i, etag.data() + i + 2, byte, 16);
    if (error != std::errc{} || end != etag.data() + i + 2) return std::nullopt;
    out.push_back(static_cast<char>(byte));
  }
  return out;
}

S3ChecksumQuery::S3ChecksumQuery(ObjectId object, std::shared_ptr<const S3Versions> versions,
                                 Done<PublishedChecksums> done)
    : object_(std::move(object)), versions_(std::move(versions)), done_(std::move(done)) {}

std::string S3ChecksumQuery::Describe() const {
  return fmt::format("{} {}", asking_parts_ ? "GET attributes of" : "HEAD", object_.Describe());
}

S3Request S3ChecksumQuery::NextAttempt() {
  S3Request request;
  if (const auto version = versions_->Find(object_)) request.query = {{"versionId", *version}};
  if (!asking_parts_) {
    request.method = "HEAD";
    request.key = object_.key;
    AddPin(object_, request.headers);
    request.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
    return request;
  }
  request.key = object_.key;
  request.query.emplace_back("attributes", "");
  request.headers.emplace_back("x-amz-object-attributes", "ETag,Checksum,ObjectParts,ObjectSize");
  request.headers.emplace_back("x-amz-max-parts", "1000");
  if (!marker_.empty()) request.headers.emplace_back("x-amz-part-number-marker", marker_);
  return request;
}

HttpVerdict S3ChecksumQuery::Judge(const Result<HttpResponse>& outcome) {
  if (!outcome) return {};
  return asking_parts_ ? JudgeParts(*outcome) : JudgeHead(*outcome);
}

HttpVerdict S3ChecksumQuery::JudgeHead(const HttpResponse& head) {
  using enum HttpVerdict::Kind;
  if (head.status == 404 || head.status == 412) {
    return {.kind = kFail,
            .error = ObjectChanged(object_, Describe(),
                                   head.status == 404 ? "the object is gone from the origin"
                                                      : "the object was replaced at the origin")};
  }
  if (head.status != 200) return {};
  if (auto changed = CheckPin(object_, head, Describe())) {
    return {.kind = kFail, .error = *std::move(changed)};
  }
  const std::string_view length = head.Header("content-length");
  if (!length.empty() && length != std::to_string(object_.size_bytes)) {
    return {
        .kind = kFail,
        .error = ObjectChanged(object_, Describe(),
                               fmt::format("the object has {} bytes now", Printable(length, 20)))};
  }
  const ByteRange all{0, object_.size_bytes};
  bool composite = false;
  for (const Kind& kind : kKinds) {
    const std::string_view text = head.Header(kind.header);
    if (text.empty()) continue;
    // A composite one ends in "-<parts>", and servers older than the type header know it only so;
    // some forget even that.
    const std::string_view type = head.Header("x-amz-checksum-type");
    const bool doubtful =
        type.empty() && head.Header("etag").contains('-') && kind.kind != ChecksumKind::kCrc64Nvme;
    if (type == "COMPOSITE" || text.contains('-') || doubtful) {
      composite = true;
    } else if (auto value = Value(text, kind)) {
      whole_.push_back({.kind = kind.kind, .range = all, .value = *std::move(value)});
    }
  }
  if (auto md5 = Md5OfEtag(head)) {
    whole_.push_back({.kind = ChecksumKind::kMd5, .range = all, .value = *std::move(md5)});
  }
  if (!composite || !whole_.empty() || object_.size_bytes == 0) return {.kind = kSuccess};
  asking_parts_ = true;
  progress_ = true;
  return {.kind = kContinue};
}

HttpVerdict S3ChecksumQuery::WithoutParts() {
  parts_.clear();
  return {.kind = HttpVerdict::Kind::kSuccess};
}

HttpVerdict S3ChecksumQuery::JudgeParts(const HttpResponse& response) {
  using enum HttpVerdict::Kind;
  if (response.status == 200) {
    if (!TakePage(response.body)) {
      spdlog::warn("s3.parts_unusable what=\"{}\"", Describe());
      return WithoutParts();
    }
    if (marker_.empty()) return {.kind = kSuccess};
    progress_ = true;
    return {.kind = kContinue};
  }
  const bool may_pass = response.status == 429 || response.status == 408 ||
                        (response.status >= 500 && response.status != 501);
  if (may_pass) return {};
  spdlog::debug("s3.no_parts what=\"{}\" status={}", Describe(), response.status);
  return WithoutParts();
}

bool S3ChecksumQuery::TakePage(const std::string& xml) {
  pugi::xml_document document;
  if (++pages_ > kMaxPages || !document.load_buffer(xml.data(), xml.size(), kXmlFlags))
    return false;
  const pugi::xml_node root = document.document_element();
  if (LocalName(root) != "GetObjectAttributesResponse") return false;
  const std::string etag = ChildText(root, "ETag");
  if (!PinnedByTime(object_) && !etag.empty() && !SameEtag(etag, object_.tag)) return false;
  const pugi::xml_node parts = Child(root, "ObjectParts");
  for (const pugi::xml_node& part : parts.children()) {
    if (LocalName(part) != "Part") continue;
    const auto size = Number(ChildText(part, "Size"));
    if (!size || *size == 0 || *size > kMaxPartBytes) return false;
    for (const Kind& kind : kKinds) {
      if (part_kind_ && *part_kind_ != kind.kind) continue;
      auto value = Value(ChildText(part, kind.element), kind);
      if (!value) continue;
      part_kind_ = kind.kind;
      parts_.push_back({.kind = kind.kind,
                        .range = ByteRange::At(parts_end_, *size),
                        .value = *std::move(value)});
      break;
    }
    if (parts_.empty() || parts_.back().range.begin != parts_end_) return false;  // One without.
    parts_end_ += *size;
    if (parts_end_ > object_.size_bytes) return false;
  }
  const std::string next = ChildText(parts, "NextPartNumberMarker");
  const bool more = ChildText(parts, "IsTruncated") == "true";
  if (more && (next.empty() || next == marker_ || !Number(next))) return false;
  marker_ = more ? next : "";
  return more || (parts_end_ == object_.size_bytes);
}

void S3ChecksumQuery::Finish(Result<void> result) {
  if (!result) return std::exchange(done_, nullptr)(std::unexpected(std::move(result.error())));
  PublishedChecksums all = std::move(whole_);
  std::ranges::move(parts_, std::back_inserter(all));
  std::exchange(done_, nullptr)(std::move(all));
}

}  // namespace modelfs::fetch
