#include "tests/support/origin/s3_service.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "tests/support/origin/list_document.h"
#include "tests/support/origin/publication.h"

namespace modelfs::test {
namespace {

const S3Error kNoSuchKey{404, "NoSuchKey", "The specified key does not exist."};
const S3Error kNoSuchBucket{404, "NoSuchBucket", "The specified bucket does not exist"};
const S3Error kNotImplemented{501, "NotImplemented",
                              "A header or query you provided implies functionality that is not "
                              "implemented."};
const S3Error kPreconditionFailed{412, "PreconditionFailed",
                                  "At least one of the pre-conditions you specified did not hold"};

bool EtagMatches(std::string_view header, std::string_view etag) {
  while (!header.empty()) {
    const std::size_t end = std::min(header.find(','), header.size());
    std::string_view one = header.substr(0, end);
    header.remove_prefix(std::min(end + 1, header.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || one == etag ||
        (!one.starts_with('"') && fmt::format("\"{}\"", one) == etag)) {
      return true;
    }
  }
  return false;
}

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The range that a Range header asks of `size` bytes; none when S3 ignores the header. An empty
/// range means that it cannot be satisfied.
std::optional<ByteRange> ParseRange(std::string_view header, std::uint64_t size) {
  if (!header.starts_with("bytes=")) return std::nullopt;
  header.remove_prefix(6);
  const std::size_t dash = header.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view first = header.substr(0, dash), last = header.substr(dash + 1);
  if (first.empty()) {
    const auto count = ParseNumber(last);
    if (!count) return std::nullopt;
    return ByteRange{size - std::min(size, *count), size};
  }
  const auto begin = ParseNumber(first);
  const auto end = last.empty() ? std::optional(size - 1) : ParseNumber(last);
  if (!begin || !end || (!last.empty() && *end < *begin)) return std::nullopt;
  if (*begin >= size) return ByteRange{};
  return ByteRange{*begin, std::min(*end, size - 1) + 1};
}

}  // namespace

std::string HttpDate(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S GMT}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::pair<std::string, std::string> S3Service::Locate(const S3Request& request) const {
  std::string_view path = request.target.raw_path;
  if (path.starts_with('/')) path.remove_prefix(1);
  if (!options_.virtual_domain.empty()) {
    std::string_view host = request.Header("host");
    host = host.substr(0, host.rfind(':'));
    const std::string suffix = '.' + options_.virtual_domain;
    if (host.ends_with(suffix)) {
      return {std::string(host.substr(0, host.size() - suffix.size())), PercentDecode(path)};
    }
  }
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {PercentDecode(path), ""};
  return {PercentDecode(path.substr(0, slash)), PercentDecode(path.substr(slash + 1))};
}

S3Reply S3Service::Handle(const S3Request& request) const {
  S3Reply reply;
  const auto refusal = verifier_ == nullptr
                           ? std::nullopt
                           : verifier_->Check(request, std::chrono::system_clock::now());
  if (refusal) {
    reply = ErrorReply(*refusal, request.target.raw_path);
  } else {
    const auto [bucket, key] = Locate(request);
    if (bucket.empty()) {
      reply = request.method == "GET" ? ListBuckets() : ErrorReply(kNotImplemented, "/");
    } else if (key.empty()) {
      reply = HandleBucket(request, bucket);
    } else {
      reply = HandleObject(request, bucket, key);
    }
  }
  // S3 answers HEAD with a status alone when it refuses.
  if (request.method == "HEAD" && !reply.object) reply.text.clear();
  reply.SetHeader("Server", "modelfs-origin");
  return reply;
}

S3Reply S3Service::HandleBucket(const S3Request& request, const std::string& bucket) const {
  const std::string& path = request.target.raw_path;
  if (request.method == "PUT") {
    if (!store_->MakeBucket(bucket)) {
      return ErrorReply({400, "InvalidBucketName", "The specified bucket is not valid."}, path);
    }
    return {};
  }
  if (!store_->HasBucket(bucket)) return ErrorReply(kNoSuchBucket, path);
  S3Reply reply;
  reply.SetHeader("x-amz-bucket-region", options_.region);
  if (request.method == "HEAD") return reply;
  if (request.method != "GET") return ErrorReply(kNotImplemented, path);
  if (request.target.Find("location")) {
    reply.text = fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint "
        "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}</LocationConstraint>",
        options_.region == "us-east-1" ? "" : options_.region);
    reply.SetHeader("Content-Type", "application/xml");
    return reply;
  }
  return List(request, bucket);
}

S3Reply S3Service::ListBuckets() const {
  S3Reply reply;
  reply.text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult "
      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>origin</ID></Owner><Buckets>";
  for (const std::string& name : store_->Buckets()) {
    reply.text += fmt::format(
        "<Bucket><Name>{}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>",
        XmlEscape(name));
  }
  reply.text += "</Buckets></ListAllMyBucketsResult>";
  reply.SetHeader("Content-Type", "application/xml");
  return reply;
}

S3Reply S3Service::List(const S3Request& request, const std::string& bucket) const {
  const RequestTarget& target = request.target;
  ListDocument document;
  document.bucket = bucket;
  document.version = target.Find("list-type") == "2" ? 2 : 1;
  document.encode = target.Find("encoding-type") == "url";
  document.plus_for_space = options_.plus_for_space;
  document.start_after = target.Find(document.version == 2 ? "start-after" : "marker").value_or("");
  document.token = target.Find("continuation-token");
  ListQuery query;
  query.prefix = target.Find("prefix").value_or("");
  query.delimiter = target.Find("delimiter").value_or("");
  query.after = document.start_after;
  if (document.token) {
    const auto after = DecodeListToken(*document.token);
    if (!after) {
      return ErrorReply({400, "InvalidArgument", "The continuation token provided is incorrect"},
                        target.raw_path);
    }
    query.after = *after;
  }
  const auto max_keys = ParseNumber(target.Find("max-keys").value_or("1000"));
  if (!max_keys) {
    return ErrorReply({400, "InvalidArgument", "max-keys is no number"}, target.raw_path);
  }
  document.max_keys = std::min<std::size_t>(*max_keys, options_.page_items);
  query.max_items = document.max_keys;
  S3Reply reply;
  reply.text = FormatListDocument(document, query, store_->List(bucket, query));
  reply.SetHeader("Content-Type", "application/xml");
  reply.SetHeader("x-amz-bucket-region", options_.region);
  return reply;
}

S3Reply S3Service::HandleObject(const S3Request& request, const std::string& bucket,
                                const std::string& key) const {
  const std::string& path = request.target.raw_path;
  for (const auto& [name, value] : request.target.query) {
    if (name == "uploads" || name == "uploadId" || name == "acl" || name == "tagging" ||
        name == "partNumber") {
      return ErrorReply(kNotImplemented, path);
    }
  }
  if (!store_->HasBucket(bucket)) return ErrorReply(kNoSuchBucket, path);
  if (request.method == "GET" && request.target.Find("attributes")) {
    return Attributes(request, bucket, key);
  }
  if (request.method == "GET" || request.method == "HEAD") return Get(request, bucket, key);
  if (request.method == "PUT") return PutObject(request, bucket, key);
  if (request.method == "DELETE") {
    store_->Remove(bucket, key);
    S3Reply reply;
    reply.status = 204;
    return reply;
  }
  return ErrorReply(kNotImplemented, path);
}

S3Reply S3Service::PutObject(const S3Request& request, const std::string& bucket,
                             const std::string& key) const {
  const std::string& path = request.target.raw_path;
  if (!request.Header("x-amz-copy-source").empty() ||
      request.Header("x-amz-content-sha256").starts_with("STREAMING-")) {
    return ErrorReply(kNotImplemented, path);
  }
  const auto etag = store_->CommitUpload(bucket, key, request.upload_path);
  if (!etag) return ErrorReply({500, "InternalError", etag.error().what}, path);
  S3Reply reply;
  reply.SetHeader("ETag", *etag);
  return reply;
}

S3Reply S3Service::Attributes(const S3Request& request, const std::string& bucket,
                              const std::string& key) const {
  const auto object = store_->Open(bucket, key);
  if (!object) return ErrorReply(kNoSuchKey, request.target.raw_path);
  std::string etag = object->info.etag;
  std::erase(etag, '"');
  S3Reply reply;
  reply.text = fmt::format("<GetObjectAttributesResponse><ETag>{}</ETag>", XmlEscape(etag));
  if (object->published && !object->published->parts.empty()) {
    const auto& parts = object->published->parts;
    const std::size_t first = ParseNumber(request.Header("x-amz-part-number-marker")).value_or(0);
    const std::size_t most = ParseNumber(request.Header("x-amz-max-parts")).value_or(1000);
    const std::size_t end = std::min(parts.size(), first + std::min(most, options_.page_items));
    reply.text += fmt::format(
        "<ObjectParts><PartsCount>{}</PartsCount><PartNumberMarker>{}</PartNumberMarker>"
        "<NextPartNumberMarker>{}</NextPartNumberMarker><IsTruncated>{}</IsTruncated>",
        parts.size(), first, end, end < parts.size());
    for (std::size_t i = first; i < end; ++i) {
      reply.text += fmt::format("<Part><PartNumber>{}</PartNumber><Size>{}</Size>", i + 1,
                                parts[i].size_bytes);
      for (const auto& [name, value] : parts[i].checksums) {
        reply.text += fmt::format("<{0}>{1}</{0}>", name, value);
      }
      reply.text += "</Part>";
    }
    reply.text += "</ObjectParts>";
  }
  reply.text += fmt::format("<ObjectSize>{}</ObjectSize></GetObjectAttributesResponse>",
                            object->info.size_bytes);
  reply.SetHeader("Content-Type", "application/xml");
  return reply;
}

S3Reply S3Service::Get(const S3Request& request, const std::string& bucket,
                       const std::string& key) const {
  const std::string& path = request.target.raw_path;
  auto object = store_->Open(bucket, key);
  if (!object) {
    return ErrorReply(object.error().code == Errc::kNotFound
                          ? kNoSuchKey
                          : S3Error{500, "InternalError", object.error().what},
                      path);
  }
  const ObjectInfo& info = object->info;
  const std::string_view if_match = request.Header("if-match");
  if (!if_match.empty() && !EtagMatches(if_match, info.etag)) {
    return ErrorReply(kPreconditionFailed, path);
  }
  S3Reply reply;
  reply.SetHeader("ETag", info.etag);
  reply.SetHeader("Last-Modified", HttpDate(info.modified));
  reply.SetHeader("Accept-Ranges", "bytes");
  const std::string_view if_none_match = request.Header("if-none-match");
  if (!if_none_match.empty() && EtagMatches(if_none_match, info.etag)) {
    reply.status = 304;
    return reply;
  }
  reply.range = {0, info.size_bytes};
  if (object->published && request.Header("range").empty() &&
      request.Header("x-amz-checksum-mode") == "ENABLED") {
    for (const auto& [name, value] : object->published->headers) reply.SetHeader(name, value);
  }
  if (const auto range = ParseRange(request.Header("range"), info.size_bytes)) {
    if (range->empty()) {
      S3Reply refusal = ErrorReply({416,
                                    "InvalidRange",
                                    "The requested range is not satisfiable",
                                    {{"ActualObjectSize", fmt::to_string(info.size_bytes)},
                                     {"RangeRequested", std::string(request.Header("range"))}}},
                                   path);
      refusal.SetHeader("Content-Range", fmt::format("bytes */{}", info.size_bytes));
      return refusal;
    }
    reply.status = 206;
    reply.range = *range;
    reply.SetHeader("Content-Range",
                    fmt::format("bytes {}-{}/{}", range->begin, range->end - 1, info.size_bytes));
  }
  reply.SetHeader("Content-Type", "application/octet-stream");
  reply.object = *std::move(object);
  return reply;
}

}  // namespace modelfs::test
