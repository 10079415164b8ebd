#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "fetch/base/error.h"
#include "fs/session/fuse_api.h"

namespace modelfs::fs {

/// The right to answer one FUSE request, once; EIO if its holder forgets.
///
/// After an answer nothing of that request or inode may be touched: it may have dropped the
/// kernel's last reference. Failures to deliver are ignored: the reader was interrupted or the
/// mount is gone.
class Reply {
 public:
  explicit Reply(fuse_req_t request) : request_(request) {}
  Reply(Reply&& o) noexcept : request_(std::exchange(o.request_, nullptr)) {}
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  Reply& operator=(Reply&&) = delete;
  ~Reply() {
    if (request_ != nullptr) fuse_reply_err(request_, EIO);
  }

  void Errno(int error_number) { fuse_reply_err(Take(), error_number); }
  void Fail(const Error& error) { Errno(ToErrno(error.code)); }
  void Ok() { Errno(0); }
  void Entry(const fuse_entry_param& entry) { fuse_reply_entry(Take(), &entry); }
  void Attr(const struct stat& attributes, double timeout_seconds) {
    fuse_reply_attr(Take(), &attributes, timeout_seconds);
  }
  /// False when nobody has it open: the request was interrupted, no release will come.
  bool Open(const fuse_file_info& info) { return fuse_reply_open(Take(), &info) == 0; }
  /// As Open, of a file that the kernel reads by itself.
  bool OpenPassthrough(std::int32_t backing_id) {
    const FuseOpenOut out{
        .handle = 0, .flags = kFuseOpenPassthrough | kFuseOpenNoFlush, .backing_id = backing_id};
    return fuse_reply_buf(Take(), reinterpret_cast<const char*>(&out), sizeof out) == 0;
  }
  void Data(std::span<const std::byte> bytes) {
    fuse_reply_buf(Take(), reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void Link(const std::string& target) { fuse_reply_readlink(Take(), target.c_str()); }
  void Statfs(const struct statvfs& values) { fuse_reply_statfs(Take(), &values); }
  /// The size of a value whose content was not asked for.
  void XattrSize(std::size_t size) { fuse_reply_xattr(Take(), size); }
  void None() { fuse_reply_none(Take()); }

  /// The request, for libfuse's own helpers (fuse_add_direntry). Still to be answered.
  fuse_req_t request() const { return request_; }

 private:
  fuse_req_t Take() { return std::exchange(request_, nullptr); }
  fuse_req_t request_;
};

}  // namespace modelfs::fs
