#include "fetch/http/curl_loop.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "fetch/base/thread.h"
#include "fetch/http/curl_error.h"

namespace modelfs::fetch {
namespace {

constexpr int kPollMilliseconds = 1'000;  // libcurl shortens it to its own next timer.
constexpr std::size_t kPooledHandles = 64;

// Before 8.3 a handle remembers the last header of its transfer after it was freed, and an answer
// whose first header begins with a space has it written to (curl issues 11101 and 11620).
bool HandlesCanBeReused() {
  static const bool can = curl_version_info(CURLVERSION_NOW)->version_num >= 0x080300;
  return can;
}

}  // namespace

struct CurlLoop::Active {
  std::unique_ptr<CurlTransfer> transfer;
  std::optional<std::stop_callback<Wake>> on_stop;
  std::optional<std::stop_callback<Wake>> on_abandon;
};

void CurlLoop::Wake::operator()() const {
  loop->scan_for_stopped_.store(true);
  curl_multi_wakeup(loop->multi_.get());
}

CurlLoop::CurlLoop(Options options) : options_(std::move(options)), multi_(curl_multi_init()) {
  CURLM* m = multi_.get();
  curl_multi_setopt(m, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, static_cast<long>(options_.connections_per_host));
  curl_multi_setopt(m, CURLMOPT_MAX_HOST_CONNECTIONS,
                    static_cast<long>(options_.connections_per_host));
  thread_ = StartThread(options_.thread_name, [this] { Run(); });
}

void CurlLoop::Join() { thread_.join(); }

CurlLoop::~CurlLoop() = default;

bool CurlLoop::CompleteLeftovers() {
  if (Idle()) return false;
  StartQueued();
  return true;
}

void CurlLoop::RequestStop() {
  stopping_.store(true);
  curl_multi_wakeup(multi_.get());
}

void CurlLoop::Add(std::unique_ptr<CurlTransfer> transfer) {
  in_flight_.fetch_add(1, std::memory_order_relaxed);
  bool was_empty;
  {
    MutexLock lock(mutex_);
    was_empty = queue_.empty();
    queue_.push_back(std::move(transfer));
  }
  if (was_empty) curl_multi_wakeup(multi_.get());
}

bool CurlLoop::Idle() {
  MutexLock lock(mutex_);
  return queue_.empty();
}

void CurlLoop::Run() {
  while (true) {
    StartQueued();
    if (stopping_.load() || scan_for_stopped_.exchange(false)) DropStopped();
    int running = 0;
    if (const CURLMcode rc = curl_multi_perform(multi_.get(), &running); rc != CURLM_OK) {
      spdlog::error("http.loop_failed text=\"{}\"", curl_multi_strerror(rc));
    }
    CollectFinished();
    if (stopping_.load() && active_.empty() && Idle()) break;
    const int wait = ResumePaused();
    if (const CURLMcode rc = curl_multi_poll(multi_.get(), nullptr, 0, wait, nullptr);
        rc != CURLM_OK) {
      spdlog::error("http.poll_failed text=\"{}\"", curl_multi_strerror(rc));
    }
  }
}

void CurlLoop::StartQueued() {
  std::deque<std::unique_ptr<CurlTransfer>> batch;
  {
    MutexLock lock(mutex_);
    batch.swap(queue_);
  }
  for (auto& transfer : batch) Start(std::move(transfer));
}

void CurlLoop::Start(std::unique_ptr<CurlTransfer> transfer) {
  if (stopping_.load() || transfer->request().StopRequested()) {
    return Complete(std::move(transfer), CURLE_ABORTED_BY_CALLBACK);
  }
  CurlEasy easy;
  if (pool_.empty()) {
    easy.reset(curl_easy_init());
  } else {
    easy = std::move(pool_.back());
    pool_.pop_back();
  }
  if (!easy) return Complete(std::move(transfer), CURLE_OUT_OF_MEMORY);
  if (Result<void> attached = transfer->Attach(std::move(easy), options_.defaults); !attached) {
    in_flight_.fetch_sub(1, std::memory_order_relaxed);
    return transfer->Fail(std::move(attached.error()));
  }
  CURL* handle = transfer->easy();
  auto active = std::make_unique<Active>();
  Active* entry = active.get();
  entry->transfer = std::move(transfer);
  active_.emplace(handle, std::move(active));
  if (curl_multi_add_handle(multi_.get(), handle) != CURLM_OK) {
    return Finish(handle, CURLE_FAILED_INIT);
  }
  const HttpRequest& request = entry->transfer->request();
  if (request.stop.stop_possible()) entry->on_stop.emplace(request.stop, Wake{this});
  if (request.abandoned.stop_possible()) entry->on_abandon.emplace(request.abandoned, Wake{this});
}

void CurlLoop::CollectFinished() {
  std::vector<std::pair<CURL*, CURLcode>> finished;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg == CURLMSG_DONE)
      finished.emplace_back(message->easy_handle, message->data.result);
  }
  for (const auto& [easy, code] : finished) Finish(easy, code);
}

void CurlLoop::DropStopped() {
  std::vector<CURL*> stopped;
  for (const auto& [easy, active] : active_) {
    if (stopping_.load() || active->transfer->request().StopRequested()) stopped.push_back(easy);
  }
  for (CURL* easy : stopped) Finish(easy, CURLE_ABORTED_BY_CALLBACK);
}

int CurlLoop::ResumePaused() {
  std::vector<CurlTransfer*> paused;
  for (const auto& [easy, active] : active_) {
    if (active->transfer->paused_since()) paused.push_back(active->transfer.get());
  }
  // Who is waited for goes first, then whoever has waited longest.
  std::ranges::sort(paused, {}, [](const CurlTransfer* transfer) {
    return std::pair(transfer->need(), *transfer->paused_since());
  });
  int wait = kPollMilliseconds;
  for (CurlTransfer* transfer : paused) {
    const auto delay = options_.defaults.bandwidth->Delay(transfer->need());
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(delay).count();
    wait = std::min(wait, static_cast<int>(std::min<std::int64_t>(whole, kPollMilliseconds)));
    if (delay == Bandwidth::Clock::duration()) transfer->Resume();
  }
  // One that was stopped must not wait for its turn to be told.
  return scan_for_stopped_.load() ? 0 : wait;
}

void CurlLoop::Finish(CURL* easy, CURLcode code) {
  const auto found = active_.find(easy);
  if (found == active_.end()) return;
  std::unique_ptr<CurlTransfer> transfer = std::move(found->second->transfer);
  active_.erase(found);
  if (code != CURLE_OK && transfer->DiedOnReusedConnection(code)) {
    curl_multi_remove_handle(multi_.get(), easy);
    transfer->Detach();
    return Start(std::move(transfer));
  }
  curl_multi_remove_handle(multi_.get(), easy);
  Complete(std::move(transfer), code);
}

void CurlLoop::Complete(std::unique_ptr<CurlTransfer> transfer, CURLcode code) {
  // Before the callback: whoever it tells may look for the least busy loop.
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  transfer->Finish(code);
  // libcurl 7.88 leaves a handle that failed early with a buffer that cannot be resized any more.
  if (code == CURLE_OK && transfer->easy() != nullptr) Recycle(transfer->Detach());
}

void CurlLoop::Recycle(CurlEasy easy) {
  if (!easy || pool_.size() >= kPooledHandles || !HandlesCanBeReused()) return;
  curl_easy_reset(easy.get());
  pool_.push_back(std::move(easy));
}

}  // namespace modelfs::fetch
