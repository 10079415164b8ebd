#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/http/curl_handle.h"
#include "fetch/http/curl_transfer.h"

namespace modelfs::fetch {

/// One libcurl multi handle and the thread that drives it; its connections are its own.
///
/// Threads: Add and InFlight from any; the rest is the loop's thread alone.
/// Lock order: `mutex_` is a leaf; no callback runs under it.
class CurlLoop {
 public:
  struct Options {
    std::string thread_name;
    CurlDefaults defaults;
    std::size_t connections_per_host = 64;  ///< More requests wait for one of these.
  };
  explicit CurlLoop(Options options);
  /// Requires: RequestStop and Join were called, and CompleteLeftovers until it found nothing.
  ~CurlLoop();

  void Add(std::unique_ptr<CurlTransfer> transfer);
  /// Requests added and not completed; to choose the least busy loop.
  std::size_t InFlight() const { return in_flight_.load(std::memory_order_relaxed); }

  /// Completes what is in flight with kCancelled on the loop's thread, which then ends. Two steps,
  /// so that several loops can end side by side and a completion may still add to its neighbour.
  void RequestStop();
  void Join();
  /// After Join, on the joining thread: completes what other loops' completions added meanwhile.
  /// False when there was nothing.
  bool CompleteLeftovers();

 private:
  struct Active;
  struct Wake {
    CurlLoop* loop;
    void operator()() const;
  };

  void Run();
  void StartQueued();
  void Start(std::unique_ptr<CurlTransfer> transfer);
  void CollectFinished();
  void DropStopped();
  /// Lets bodies go on whose turn it is under the limit of bandwidth. Returns how long to wait for
  /// the next one, in milliseconds.
  int ResumePaused();
  void Finish(CURL* easy, CURLcode code);
  void Recycle(CurlEasy easy);
  void Complete(std::unique_ptr<CurlTransfer> transfer, CURLcode code);
  bool Idle() EXCLUDES(mutex_);

  const Options options_;
  std::atomic<std::size_t> in_flight_{0};
  std::atomic<bool> scan_for_stopped_{false};
  std::atomic<bool> stopping_{false};

  Mutex mutex_;
  std::deque<std::unique_ptr<CurlTransfer>> queue_ GUARDED_BY(mutex_);

  // Of the loop's thread. Pooled handles die before the multi handle, as libcurl wants it.
  CurlMulti multi_;
  std::vector<CurlEasy> pool_;
  std::unordered_map<CURL*, std::unique_ptr<Active>> active_;
  std::jthread thread_;
};

}  // namespace modelfs::fetch
