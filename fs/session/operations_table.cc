// The C callbacks of libfuse, each handing on to the method of the same name.
#include "fs/session/operations.h"
#include "fs/session/reply.h"

namespace modelfs::fs {
namespace {

Operations& Self(fuse_req_t request) {
  return *static_cast<Operations*>(fuse_req_userdata(request));
}

void OnInit(void* self, fuse_conn_info* connection) noexcept {
  static_cast<Operations*>(self)->Init(connection);
}
void OnLookup(fuse_req_t r, fuse_ino_t parent, const char* name) noexcept {
  Self(r).Lookup(r, parent, name);
}
// Node ids stay good for the life of the tree, so there is nothing to count.
void OnForget(fuse_req_t r, fuse_ino_t, std::uint64_t) noexcept { Reply(r).None(); }
void OnForgetMulti(fuse_req_t r, std::size_t, fuse_forget_data*) noexcept { Reply(r).None(); }
void OnGetAttr(fuse_req_t r, fuse_ino_t id, fuse_file_info*) noexcept { Self(r).GetAttr(r, id); }
void OnReadLink(fuse_req_t r, fuse_ino_t id) noexcept { Self(r).ReadLink(r, id); }
void OnOpen(fuse_req_t r, fuse_ino_t id, fuse_file_info* info) noexcept {
  Self(r).Open(r, id, *info);
}
void OnRead(fuse_req_t r, fuse_ino_t id, std::size_t size, off_t offset,
            fuse_file_info* info) noexcept {
  Self(r).Read(r, id, size, static_cast<std::uint64_t>(offset), info->fh);
}
void OnRelease(fuse_req_t r, fuse_ino_t id, fuse_file_info* info) noexcept {
  Self(r).Release(r, id, info->fh);
}
void OnReadDir(fuse_req_t r, fuse_ino_t id, std::size_t size, off_t offset,
               fuse_file_info*) noexcept {
  Self(r).ReadDir(r, id, size, static_cast<std::uint64_t>(offset), Operations::Plus::kNo);
}
void OnReadDirPlus(fuse_req_t r, fuse_ino_t id, std::size_t size, off_t offset,
                   fuse_file_info*) noexcept {
  Self(r).ReadDir(r, id, size, static_cast<std::uint64_t>(offset), Operations::Plus::kYes);
}
void OnStatfs(fuse_req_t r, fuse_ino_t) noexcept { Self(r).Statfs(r); }
void OnGetXattr(fuse_req_t r, fuse_ino_t id, const char* name, std::size_t size) noexcept {
  Self(r).GetXattr(r, id, name, size);
}
void OnListXattr(fuse_req_t r, fuse_ino_t id, std::size_t size) noexcept {
  Self(r).ListXattr(r, id, size);
}
void OnAccess(fuse_req_t r, fuse_ino_t id, int mask) noexcept { Self(r).Access(r, id, mask); }

fuse_lowlevel_ops MakeTable() {
  // What is absent is answered ENOSYS by libfuse, which the kernel remembers: flush, lseek (so that
  // a file never looks sparse), opendir, releasedir, copy_file_range.
  fuse_lowlevel_ops table{};
  table.init = OnInit;
  table.lookup = OnLookup;
  table.forget = OnForget;
  table.forget_multi = OnForgetMulti;
  table.getattr = OnGetAttr;
  table.readlink = OnReadLink;
  table.open = OnOpen;
  table.read = OnRead;
  table.release = OnRelease;
  table.readdir = OnReadDir;
  table.readdirplus = OnReadDirPlus;
  table.statfs = OnStatfs;
  table.getxattr = OnGetXattr;
  table.listxattr = OnListXattr;
  table.access = OnAccess;
  return table;
}

}  // namespace

const fuse_lowlevel_ops& Operations::Table() {
  static const fuse_lowlevel_ops table = MakeTable();
  return table;
}

}  // namespace modelfs::fs
