#include "tests/bench/ranged_get.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"
#include "tests/bench/measurement.h"

namespace modelfs::bench {
namespace {

using Easy = Handle<CURL, curl_easy_cleanup>;

std::size_t ThrowAway(char* /*data*/, std::size_t size, std::size_t count, void* total) noexcept {
  *static_cast<std::uint64_t*>(total) += size * count;
  return size * count;
}

/// One connection that is kept. One thread.
class Connection {
 public:
  explicit Connection(const std::string& url) : url_(url), easy_(curl_easy_init()) {
    curl_easy_setopt(easy_.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy_.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy_.get(), CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy_.get(), CURLOPT_BUFFERSIZE, 512L << 10);
    curl_easy_setopt(easy_.get(), CURLOPT_WRITEFUNCTION, &ThrowAway);
  }

  Result<void> Get(std::uint64_t offset, std::uint64_t size) {
    std::uint64_t total = 0;
    const std::string range = fmt::format("{}-{}", offset, offset + size - 1);
    curl_easy_setopt(easy_.get(), CURLOPT_WRITEDATA, &total);
    curl_easy_setopt(easy_.get(), CURLOPT_RANGE, range.c_str());
    const CURLcode code = curl_easy_perform(easy_.get());
    if (code != CURLE_OK) return Fail(Errc::kTransient, url_ + ": " + curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status != 206 || total != size) {
      return Fail(Errc::kInvalid, fmt::format("{}: HTTP {}, {} bytes", url_, status, total));
    }
    return {};
  }

 private:
  const std::string url_;
  Easy easy_;
};

}  // namespace

Result<nlohmann::json> RangedGet::Run(const Plan& plan) const {
  std::vector<Connection> ready;
  ready.reserve(connections);
  for (unsigned i = 0; i < connections; ++i) {
    if (const auto got = ready.emplace_back(url).Get(0, 1); !got) {
      return std::unexpected(got.error());
    }
  }
  Measurement measurement;
  Mutex mutex;
  std::optional<Error> wrong;
  std::atomic<std::size_t> next = 0;
  const auto work = [&](Connection& connection) {
    for (std::size_t i = next++; i < plan.size(); i = next++) {
      const Clock::time_point begun = Clock::now();
      const auto got = connection.Get(plan[i].offset, plan[i].size);
      const MutexLock lock(mutex);
      if (!got) wrong = got.error();
      if (wrong) return;
      measurement.AddStep(begun, plan[i].size);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (Connection& connection : ready) threads.emplace_back(work, std::ref(connection));
  }
  if (wrong) return std::unexpected(*wrong);
  std::uint64_t end = 0;
  for (const Step& step : plan) end = std::max(end, step.offset + step.size);
  return measurement.Summary(end);
}

Result<std::uint64_t> RangedGet::Size() const {
  const Easy easy(curl_easy_init());
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_NOBODY, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_NOPROXY, "*");
  const CURLcode code = curl_easy_perform(easy.get());
  if (code != CURLE_OK) return Fail(Errc::kTransient, url + ": " + curl_easy_strerror(code));
  curl_off_t length = -1;
  curl_easy_getinfo(easy.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  if (length <= 0) return Fail(Errc::kInvalid, url + ": no length");
  return static_cast<std::uint64_t>(length);
}

}  // namespace modelfs::bench
