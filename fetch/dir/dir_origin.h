#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "fetch/base/bandwidth.h"
#include "fetch/base/handle.h"
#include "fetch/base/worker_pool.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// The files below a local (or network-mounted) directory.
///
/// Never leaves its root. Symbolic links that resolve beneath it are followed; those that lead out,
/// dangle or would make a path pass the same directory twice are hidden, with one warning per
/// listing; so are sockets, devices and pipes. A file is pinned by mtime, size and inode, checked
/// before and after every piece that is read.
///
/// Threads: completions run on the pool's threads.
/// Lifetime: the pool is borrowed and outlives it and whatever it has in flight.
class DirOrigin final : public Origin {
 public:
  /// `root`: absolute. It need not exist yet: each operation opens it anew.
  /// `bandwidth` is borrowed like the pool; null: no limit. Errors: kInvalid: not absolute.
  static Result<std::shared_ptr<DirOrigin>> Create(std::string root, WorkerPool* pool,
                                                   Bandwidth* bandwidth = nullptr);
  ~DirOrigin() override;

  std::string Describe() const override { return "dir:" + root_; }
  void List(std::string directory, Done<Listing> done) override;
  ObjectId Pin(std::string_view directory, const Entry& entry) const override;
  void Read(const ObjectId& object, ByteRange range, std::shared_ptr<BodySink> sink,
            Done<void> done) override;
  void Probe(std::chrono::milliseconds deadline, Done<void> done) override;

 private:
  DirOrigin(std::string root, WorkerPool* pool, Bandwidth* bandwidth)
      : root_(std::move(root)), pool_(pool), bandwidth_(bandwidth) {}

  const std::string root_;
  WorkerPool* const pool_;
  Bandwidth* const bandwidth_;
  std::stop_source stop_;
};

}  // namespace modelfs::fetch
