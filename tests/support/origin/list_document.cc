#include "tests/support/origin/list_document.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "tests/support/origin/s3_message.h"
#include "tests/support/origin/url.h"

namespace modelfs::test {
namespace {

constexpr std::string_view kTokenPrefix = "1+q/";

std::string Encoded(const ListDocument& document, std::string_view name) {
  if (!document.encode) return XmlEscape(name);
  if (!document.plus_for_space) return PercentEncode(name, "/");
  std::string text = PercentEncode(name, "/ ");
  std::replace(text.begin(), text.end(), ' ', '+');
  return text;
}

void AppendItem(const ListDocument& document, const ListItem& item, std::string& out) {
  if (item.is_prefix) {
    out += fmt::format("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                       Encoded(document, item.name));
    return;
  }
  out += fmt::format(
      "<Contents><Key>{}</Key><LastModified>{:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
      "<ETag>{}</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
      Encoded(document, item.name),
      fmt::gmtime(std::chrono::system_clock::to_time_t(item.info.modified)),
      XmlEscape(item.info.etag), item.info.size_bytes);
}

}  // namespace

std::string FormatListDocument(const ListDocument& document, const ListQuery& query,
                               const ListPage& page) {
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name>"
      "<Prefix>{}</Prefix><MaxKeys>{}</MaxKeys><IsTruncated>{}</IsTruncated>",
      XmlEscape(document.bucket), Encoded(document, query.prefix), document.max_keys,
      page.truncated);
  if (!query.delimiter.empty()) {
    out += fmt::format("<Delimiter>{}</Delimiter>", Encoded(document, query.delimiter));
  }
  if (document.encode) out += "<EncodingType>url</EncodingType>";
  const std::string last = page.items.empty() ? "" : page.items.back().name;
  if (document.version == 2) {
    out += fmt::format("<KeyCount>{}</KeyCount>", page.items.size());
    if (document.token) {
      out += fmt::format("<ContinuationToken>{}</ContinuationToken>", XmlEscape(*document.token));
    }
    if (!document.start_after.empty()) {
      out += fmt::format("<StartAfter>{}</StartAfter>", Encoded(document, document.start_after));
    }
    if (page.truncated) {
      out += fmt::format("<NextContinuationToken>{}</NextContinuationToken>",
                         XmlEscape(EncodeListToken(last)));
    }
  } else {
    out += fmt::format("<Marker>{}</Marker>", Encoded(document, document.start_after));
    if (page.truncated) {
      out += fmt::format("<NextMarker>{}</NextMarker>", Encoded(document, last));
    }
  }
  for (const ListItem& item : page.items) {
    if (!item.is_prefix) AppendItem(document, item, out);
  }
  for (const ListItem& item : page.items) {
    if (item.is_prefix) AppendItem(document, item, out);
  }
  out += "</ListBucketResult>";
  return out;
}

std::string EncodeListToken(std::string_view name) {
  std::string out(4 * ((name.size() + 2) / 3) + 1, '\0');
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(name.data()),
                                static_cast<int>(name.size()));
  out.resize(static_cast<std::size_t>(n));
  return std::string(kTokenPrefix) + out + "=";
}

std::optional<std::string> DecodeListToken(std::string_view token) {
  if (!token.starts_with(kTokenPrefix) || !token.ends_with('=')) return std::nullopt;
  token.remove_prefix(kTokenPrefix.size());
  token.remove_suffix(1);
  std::string out(token.size() + 3, '\0');
  const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(token.data()),
                                static_cast<int>(token.size()));
  if (n < 0) return std::nullopt;
  // EVP_DecodeBlock counts the padding as bytes.
  const auto padding = static_cast<std::size_t>(std::count(token.begin(), token.end(), '='));
  out.resize(static_cast<std::size_t>(n) - std::min<std::size_t>(padding, n));
  return out;
}

}  // namespace modelfs::test
