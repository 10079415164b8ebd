#pragma once

#include <memory>

#include "fs/session/backings.h"
#include "fs/session/buffers.h"
#include "fs/session/device.h"
#include "fs/session/fuse_api.h"
#include "fs/session/open_files.h"
#include "fs/session/open_reports.h"
#include "fs/session/parked.h"
#include "fs/signature/signatures.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// What the FUSE requests of one session do: answer from the tree and the cache at once where they
/// can, and park where they would have to wait.
///
/// Threads: the `fuse-N` threads call; nothing here waits for network or disk.
class Operations {
 public:
  /// `signatures` may be null.
  Operations(std::shared_ptr<Tree> tree, Device& device, std::shared_ptr<Backings> backings,
             std::shared_ptr<Signatures> signatures)
      : tree_(std::move(tree)),
        device_(device),
        files_(tree_),
        backings_(std::move(backings)),
        signatures_(std::move(signatures)) {}

  /// The callbacks for fuse_session_new, whose userdata must be an Operations*.
  static const fuse_lowlevel_ops& Table();

  /// Must be called before the first request.
  void UseLot(std::shared_ptr<ParkingLot> lot) { lot_ = std::move(lot); }

  Device& device() { return device_; }
  Backings& backings() { return *backings_; }

  void Init(fuse_conn_info* connection);
  void Lookup(fuse_req_t request, std::uint64_t parent, const char* name);
  void GetAttr(fuse_req_t request, std::uint64_t number);
  void ReadLink(fuse_req_t request, std::uint64_t id);
  void Open(fuse_req_t request, std::uint64_t number, fuse_file_info info);
  void Read(fuse_req_t request, std::uint64_t number, std::size_t size, std::uint64_t offset,
            std::uint64_t handle);
  void Release(fuse_req_t request, std::uint64_t number, std::uint64_t handle);
  enum class Plus : std::uint8_t { kNo, kYes };
  void ReadDir(fuse_req_t request, std::uint64_t id, std::size_t size, std::uint64_t offset,
               Plus plus);
  void Statfs(fuse_req_t request);
  /// `size` 0 asks for the size only.
  void GetXattr(fuse_req_t request, std::uint64_t number, const char* name, std::size_t size);
  void ListXattr(fuse_req_t request, std::uint64_t number, std::size_t size);
  void Access(fuse_req_t request, std::uint64_t id, int mask);

 private:
  using Object = std::shared_ptr<index::CachedObject>;
  struct Opening;
  void OpenAdmitted(const std::shared_ptr<Opening>& opening);
  void FinishOpen(Opening& opening);
  Node Shown(Node node) const;
  void OpenReport(fuse_req_t request, std::uint64_t id, fuse_file_info info);
  void ReadReport(fuse_req_t request, std::uint64_t id, std::size_t size, std::uint64_t offset,
                  std::uint64_t handle);

  const std::shared_ptr<Tree> tree_;
  Device& device_;
  OpenFiles files_;
  const std::shared_ptr<Backings> backings_;
  const std::shared_ptr<Signatures> signatures_;
  const std::shared_ptr<OpenReports> reports_ = std::make_shared<OpenReports>();
  std::shared_ptr<ParkingLot> lot_;
  const std::shared_ptr<ReplyBuffers> buffers_ = std::make_shared<ReplyBuffers>();
};

}  // namespace modelfs::fs
