#include "fetch/mlflow/presigned_urls.h"

#include <charconv>

#include "fetch/base/text.h"
#include "fetch/mlflow/artifact_uri.h"
#include "fetch/mlflow/mlflow_json.h"

namespace modelfs::fetch {
namespace {

constexpr std::size_t kMaxKept = 1'000;
constexpr std::size_t kMaxUrlBytes = 16 << 10;
constexpr std::string_view kExpires = "x-amz-expires=";
constexpr std::chrono::seconds kLongest{3'600};

bool IsPlain(std::string_view url) {
  return url.size() <= kMaxUrlBytes &&
         url.find_first_of(std::string_view("\0\r\n\t \"<>\\", 9)) == std::string_view::npos;
}

// What the storage itself says about the URL's life, where it does.
std::optional<std::chrono::seconds> LifeOf(std::string_view url) {
  const std::string lower = Lower(url);
  const std::size_t at = lower.find(kExpires);
  if (at == std::string::npos) return std::nullopt;
  const char* const begin = lower.data() + at + kExpires.size();
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(begin, lower.data() + lower.size(), seconds);
  if (error != std::errc{} || seconds <= 0) return std::nullopt;
  return std::min(std::chrono::seconds(seconds), kLongest);
}

}  // namespace

Result<PresignedUrl> ParsePresignedUrl(const nlohmann::json& answer, std::string_view server) {
  PresignedUrl out;
  out.url = JsonText(answer, "url");
  if (out.url.empty()) out.url = JsonText(answer, "presigned_url");
  const std::string scheme = UriScheme(out.url);
  if ((scheme != "http" && scheme != "https") || !IsPlain(out.url)) {
    return Fail(Errc::kInvalid, "the server's presigned URL is none");
  }
  if (scheme == "http" && UriScheme(server) == "https") {
    return Fail(Errc::kInvalid, "the server's presigned URL leads from https to http");
  }
  for (const auto& [name, value] : JsonObject(answer, "headers").items()) {
    if (value.is_string()) out.headers.emplace_back(Lower(name), value.get<std::string>());
  }
  if (const auto life = LifeOf(out.url)) out.valid_for = *life;
  return out;
}

void PresignedUrls::Get(const std::string& path, Done<PresignedUrl> done) {
  {
    MutexLock lock(mutex_);
    const auto found = kept_.find(path);
    if (found != kept_.end() && timer_->Now() < found->second.renew_at) {
      PresignedUrl url = found->second.url;
      lock.Unlock();
      return done(std::move(url));
    }
  }
  ask_(path, [self = shared_from_this(), path,
              done = std::move(done)](Result<nlohmann::json> answer) mutable {
    if (!answer) return done(std::unexpected(std::move(answer.error())));
    auto url = ParsePresignedUrl(*answer, self->server_);
    if (url) self->Keep(path, *url);
    done(std::move(url));
  });
}

void PresignedUrls::Keep(const std::string& path, const PresignedUrl& url) {
  const auto now = timer_->Now();
  MutexLock lock(mutex_);
  if (kept_.size() >= kMaxKept) {
    std::erase_if(kept_, [&](const auto& item) { return item.second.renew_at <= now; });
    if (kept_.size() >= kMaxKept) kept_.clear();
  }
  kept_[path] = {.url = url, .renew_at = now + url.valid_for * 4 / 5};
}

void PresignedUrls::Drop(const std::string& path, const std::string& url) {
  MutexLock lock(mutex_);
  const auto found = kept_.find(path);
  if (found != kept_.end() && found->second.url.url == url) kept_.erase(found);
}

}  // namespace modelfs::fetch
