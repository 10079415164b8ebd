#include "fs/session/attributes.h"

#include <algorithm>

#include "fs/tree/node_id.h"

namespace modelfs::fs {
namespace {

double Seconds(std::chrono::milliseconds t) {
  return std::max(0.0, std::chrono::duration<double>(t).count());
}

timespec ToTimespec(std::chrono::system_clock::time_point t) {
  const auto nanoseconds =
      std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
  timespec ts{.tv_sec = nanoseconds / 1'000'000'000, .tv_nsec = nanoseconds % 1'000'000'000};
  if (ts.tv_nsec < 0) {
    ts.tv_nsec += 1'000'000'000;
    ts.tv_sec -= 1;
  }
  return ts;
}

}  // namespace

double AttributeTimeoutSeconds(const Node& node) {
  return node.kind == Node::Kind::kReport ? 0 : kAttributeTimeoutSeconds;
}

struct stat ToStat(const Node& node, const Tree::Options& options) {
  struct stat st{};
  st.st_ino = NodeId::InodeNumber(node.id);
  switch (node.kind) {
    case Node::Kind::kDirectory:
      st.st_mode = S_IFDIR | (0555 & ~options.umask);
      st.st_nlink = 2;
      break;
    case Node::Kind::kFile:
    case Node::Kind::kReport:
      st.st_mode = S_IFREG | (0444 & ~options.umask);
      st.st_nlink = 1;
      break;
    case Node::Kind::kSymlink:
      st.st_mode = S_IFLNK | 0777;
      st.st_nlink = 1;
      break;
  }
  st.st_uid = options.uid;
  st.st_gid = options.gid;
  st.st_size = static_cast<off_t>(node.size_bytes);
  st.st_blocks = static_cast<blkcnt_t>((node.size_bytes + 511) / 512);
  st.st_blksize = 1 << 20;
  st.st_mtim = st.st_ctim = st.st_atim = ToTimespec(node.modified);
  return st;
}

fuse_entry_param ToEntry(const Node& node, const Tree::Options& options) {
  fuse_entry_param entry{};
  entry.ino = node.id;
  entry.attr = ToStat(node, options);
  entry.attr_timeout = AttributeTimeoutSeconds(node);
  entry.entry_timeout = Seconds(node.valid_for);
  return entry;
}

fuse_entry_param NegativeEntry(std::chrono::milliseconds valid_for) {
  fuse_entry_param entry{};
  entry.entry_timeout = Seconds(valid_for);
  return entry;
}

}  // namespace modelfs::fs
