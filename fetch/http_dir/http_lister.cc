#include "fetch/http_dir/http_lister.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fetch/base/percent.h"

namespace modelfs::fetch {

std::string HttpLister::Describe() const {
  return client_->Describe(
      "LIST", place_ == ListingPlace::kIndexFile ? directory_ + "index.json" : directory_);
}

HttpAttempt HttpLister::NextAttempt() {
  if (place_ == ListingPlace::kIndexFile) {
    return {.key = directory_ + "index.json", .headers = {{"accept", "application/json"}}};
  }
  return {.key = directory_, .headers = {{"accept", "application/json, text/html;q=0.9"}}};
}

HttpVerdict HttpLister::TryIndexFile(Error why) {
  place_ = ListingPlace::kIndexFile;
  first_ = std::move(why);
  return {.kind = HttpVerdict::Kind::kContinue};
}

HttpVerdict HttpLister::Judge(const Result<HttpResponse>& outcome) {
  using enum HttpVerdict::Kind;
  if (!outcome) return {};
  const bool is_index = place_ == ListingPlace::kIndexFile;
  if (outcome->status == 404 || outcome->status == 403 || outcome->status == 410) {
    // A server without listings refuses directories, or knows none.
    const Error error{outcome->status == 403 ? Errc::kDenied : Errc::kNotFound,
                      fmt::format("{}: HTTP {}", Describe(), outcome->status)};
    if (!is_index) return TryIndexFile(error);
    return {.kind = kFail,
            .error = {first_.code, fmt::format("{}; and {}", first_.what, error.what)}};
  }
  if (outcome->status != 200) return {};
  auto listing = ParseHttpListing(outcome->body, place_);
  if (listing) {
    listing_ = *std::move(listing);
    return {.kind = kSuccess};
  }
  Error error{listing.error().code, fmt::format("{}: {}", Describe(), listing.error().what)};
  if (!is_index && error.code == Errc::kInvalid) return TryIndexFile(std::move(error));
  return {.kind = kFail, .error = std::move(error)};
}

void HttpLister::Finish(Result<void> result) {
  if (!result) return std::exchange(done_, nullptr)(std::unexpected(std::move(result.error())));
  if (listing_.skipped > 0) {
    spdlog::debug("http.links_skipped where=\"{}\" count={}", Describe(), listing_.skipped);
  }
  std::exchange(done_, nullptr)(std::move(listing_));
}

}  // namespace modelfs::fetch
