#include "fetch/http_dir/http_head.h"

#include <charconv>

#include "fetch/base/text.h"
#include "fetch/base/time_text.h"
#include "fetch/http/object_pin.h"

namespace modelfs::fetch {

HttpHeadAnswer ReadHead(const HttpResponse& head) {
  HttpHeadAnswer out;
  const std::string_view length = head.Header("content-length");
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), size);
  if (!length.empty() && error == std::errc{} && end == length.data() + length.size()) {
    out.size_bytes = size;
  }
  const auto modified = ParseHttpDate(head.Header("last-modified"));
  if (modified) out.modified = *modified;
  const std::string_view etag = head.Header("etag");
  if (etag.size() > 2 && etag.starts_with('"')) {
    out.tag = etag;
  } else {
    // A weak ETag names a meaning and no bytes.
    out.tag = modified ? TimeTag(*modified) : std::string(kUnpinned);
  }
  out.unranged = Lower(head.Header("accept-ranges")) == "none";
  return out;
}

HttpVerdict HttpHead::Judge(const Result<HttpResponse>& outcome) {
  if (!outcome || outcome->status != 200) return {};
  answer_ = ReadHead(*outcome);
  return {.kind = HttpVerdict::Kind::kSuccess};
}

void HttpHead::Finish(Result<void> result) {
  if (!result) return std::exchange(done_, nullptr)(std::unexpected(std::move(result.error())));
  std::exchange(done_, nullptr)(std::move(answer_));
}

}  // namespace modelfs::fetch
