#include "fs/session/operations.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "fs/session/attributes.h"
#include "fs/session/reply.h"
#include "fs/session/xattrs.h"
#include "fs/tree/names.h"
#include "fs/tree/node_id.h"

namespace modelfs::fs {
namespace {

/// Requests in the background (read-ahead, asynchronous direct reads) that the kernel may have
/// under way; it starts to hold back at the second number.
constexpr unsigned kMaxBackground = 64;
constexpr unsigned kCongestion = 48;

/// "." and ".." come before the tree's own entries.
constexpr std::uint64_t kDotEntries = 2;

/// Fills one readdir reply.
class DirectoryBuffer {
 public:
  DirectoryBuffer(fuse_req_t request, ReplyBuffers::Buffer buffer, Operations::Plus plus)
      : request_(request), buffer_(std::move(buffer)), plus_(plus) {}

  /// False when it does not fit any more.
  bool Add(const char* name, const fuse_entry_param& entry, std::uint64_t next) {
    auto* at = reinterpret_cast<char*>(buffer_.span().data()) + used_;
    const std::size_t room = buffer_.span().size() - used_;
    const std::size_t needs =
        plus_ == Operations::Plus::kYes
            ? fuse_add_direntry_plus(request_, at, room, name, &entry, static_cast<off_t>(next))
            : fuse_add_direntry(request_, at, room, name, &entry.attr, static_cast<off_t>(next));
    if (needs > room) return false;
    used_ += needs;
    return true;
  }
  std::span<const std::byte> Bytes() const { return buffer_.span().first(used_); }

 private:
  fuse_req_t request_;
  ReplyBuffers::Buffer buffer_;
  Operations::Plus plus_;
  std::size_t used_ = 0;
};

/// "." or "..": the kernel looks at the type only, and counts no lookup for them.
fuse_entry_param DotEntry(std::uint64_t id) {
  fuse_entry_param entry{};
  entry.attr.st_ino = id;
  entry.attr.st_mode = S_IFDIR;
  return entry;
}

void ReplyXattr(Reply reply, std::string_view value, std::size_t size) {
  if (size == 0) return reply.XattrSize(value.size());
  if (size < value.size()) return reply.Errno(ERANGE);
  reply.Data(std::as_bytes(std::span(value)));
}

}  // namespace

void Operations::Init(fuse_conn_info* connection) {
  const unsigned wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS |
                          FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_CACHE_SYMLINKS |
                          FUSE_CAP_EXPLICIT_INVAL_DATA;
  // Bytes of a node never change, so the kernel need not look for changes. A reader in an
  // asynchronous direct read sends no interrupt and cannot be killed until it is answered.
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ASYNC_DIO);
  connection->want |= connection->capable & wanted;
  connection->max_background = kMaxBackground;
  connection->congestion_threshold = kCongestion;
}

void Operations::Lookup(fuse_req_t request, std::uint64_t parent, const char* name) {
  const std::string_view wanted(name);
  if (wanted.size() > kMaxNameBytes) return Reply(request).Errno(ENAMETOOLONG);
  const auto pid = static_cast<std::uint32_t>(fuse_req_ctx(request)->pid);
  auto parked = lot_->Park(request);
  tree_->Lookup(parent, wanted, [this, parked, parent, pid, tree = tree_](Result<Node> node) {
    auto reply = parked->Take();
    if (!reply) return;
    if (node) {
      if (node->kind == Node::Kind::kFile) node->id = backings_->Show(pid, node->id);
      return reply->Entry(ToEntry(*node, tree->options()));
    }
    if (node.error().code != Errc::kNotFound) return reply->Fail(node.error());
    reply->Entry(NegativeEntry(tree->NegativeTtl(parent)));
  });
}

void Operations::GetAttr(fuse_req_t request, std::uint64_t number) {
  Reply reply(request);
  auto node = tree_->Get(NodeId::Cold(number));
  if (!node) return reply.Errno(ESTALE);
  reply.Attr(ToStat(*node, tree_->options()), AttributeTimeoutSeconds(*node));
}

void Operations::ReadLink(fuse_req_t request, std::uint64_t id) {
  Reply reply(request);
  auto target = tree_->ReadLink(id);
  if (!target) return reply.Fail(target.error());
  reply.Link(*target);
}

/// An open on its way to its answer.
struct Operations::Opening {
  std::shared_ptr<Parked> parked;
  std::uint64_t number = 0;  ///< Cold or hot.
  std::uint32_t pid = 0;     ///< The thread, as the mount's namespace has it; 0: of another one.
  Object object;             ///< Counted in files_.
  fuse_file_info info{};

  std::uint64_t cold() const { return NodeId::Cold(number); }
};

void Operations::Open(fuse_req_t request, std::uint64_t number, fuse_file_info info) {
  if ((info.flags & O_ACCMODE) != O_RDONLY) return Reply(request).Errno(EROFS);
  const std::uint64_t id = NodeId::Cold(number);
  if (tree_->IsReport(id)) return OpenReport(request, id, info);
  auto object = files_.Open(id);
  if (!object) return Reply(request).Fail(object.error());
  info.keep_cache = 1;
  info.noflush = 1;
  auto opening = std::make_shared<Opening>();
  opening->pid = static_cast<std::uint32_t>(fuse_req_ctx(request)->pid);
  opening->parked = lot_->Park(request);
  opening->number = number;
  opening->object = *std::move(object);
  opening->info = info;
  if (!signatures_) return OpenAdmitted(opening);
  signatures_->Admit(id, opening->object, [this, opening](Result<void> admitted) {
    if (admitted) return OpenAdmitted(opening);
    files_.Release(opening->cold());  // Nobody has it open.
    if (auto reply = opening->parked->Take()) reply->Fail(admitted.error());
  });
}

void Operations::OpenAdmitted(const std::shared_ptr<Opening>& opening) {
  index::CachedObject& object = *opening->object;
  if (object.id().size_bytes < Backings::kLeastBytes) return FinishOpen(*opening);
  const auto known = tree_->options().cache->Find(object.id());
  if (!known || !known->whole) return FinishOpen(*opening);
  // Whether the kernel can read it is known when its map was read, which is soon.
  object.WhenLoaded([this, opening] { FinishOpen(*opening); });
}

void Operations::FinishOpen(Opening& opening) {
  const std::uint64_t id = opening.cold();
  auto reply = opening.parked->Take();
  if (!reply) return files_.Release(id);
  bool again = false;
  if (NodeId::IsHot(opening.number)) {
    backings_->TakeRetry(opening.pid, id);
    if (const auto backing = backings_->Find(opening.number)) {
      if (!reply->OpenPassthrough(*backing)) files_.Release(id);
      return backings_->NoteOpen(id);
    }
    again = true;  // Its file is no more.
  } else {
    again = !backings_->TakeRetry(opening.pid, id) && backings_->Prepare(id, opening.object);
  }
  if (again) {
    // The kernel looks the name up again, and gets the number that the file has now.
    files_.Release(id);
    backings_->NoteRetry(opening.pid, id);
    return reply->Errno(ESTALE);
  }
  // The head, in the background of the open: it is what every format reads first.
  if (opening.object->id().size_bytes > 0) {
    opening.object->Want({0, 1}, index::Priority::kNear);
  }
  if (!reply->Open(opening.info)) files_.Release(id);
}

/// As the kernel is to know it now.
Node Operations::Shown(Node node) const {
  if (node.kind == Node::Kind::kFile) node.id = backings_->Current(node.id);
  return node;
}

void Operations::Read(fuse_req_t request, std::uint64_t number, std::size_t size,
                      std::uint64_t offset, std::uint64_t handle) {
  const std::uint64_t id = NodeId::Cold(number);
  if (tree_->IsReport(id)) return ReadReport(request, id, size, offset, handle);
  auto object = files_.Find(id);
  if (!object) return Reply(request).Fail(object.error());
  const std::uint64_t end = (*object)->id().size_bytes;
  if (offset >= end || size == 0) return Reply(request).Data({});
  size = std::min<std::uint64_t>(size, end - offset);
  if (const auto lent = (*object)->TryBorrowNow(offset, size)) {
    return Reply(request).Data(lent->bytes);
  }
  auto buffer = buffers_->Get(size);
  if (auto got = (*object)->TryReadNow(offset, buffer.span())) {
    return Reply(request).Data(buffer.span().first(*got));
  }
  auto parked = lot_->Park(request, id);
  const std::span<std::byte> destination = buffer.span();
  (*object)->Borrow(offset, destination,
                    [parked, buffer = std::move(buffer)](Result<std::span<const std::byte>> got) {
                      auto reply = parked->Take();
                      if (!reply) return;
                      if (!got) return reply->Fail(got.error());
                      reply->Data(*got);
                    });
}

void Operations::Release(fuse_req_t request, std::uint64_t number, std::uint64_t handle) {
  const std::uint64_t id = NodeId::Cold(number);
  if (tree_->IsReport(id)) {
    reports_->Release(handle);
  } else {
    files_.Release(id);
  }
  Reply(request).Ok();
}

void Operations::OpenReport(fuse_req_t request, std::uint64_t id, fuse_file_info info) {
  auto parked = lot_->Park(request);
  tree_->Report(id, [parked, info, reports = reports_](Result<std::string> text) mutable {
    auto reply = parked->Take();
    if (!reply) return;
    if (!text) return reply->Fail(text.error());
    info.fh = reports->Open(*std::move(text));
    // Its size is not known beforehand, and the next open makes another text.
    info.direct_io = 1;
    info.noflush = 1;
    if (!reply->Open(info)) reports->Release(info.fh);
  });
}

void Operations::ReadReport(fuse_req_t request, std::uint64_t id, std::size_t size,
                            std::uint64_t offset, std::uint64_t handle) {
  const auto answer = [size, offset](Reply& reply, std::string_view text) {
    text.remove_prefix(std::min<std::uint64_t>(offset, text.size()));
    reply.Data(std::as_bytes(std::span(text.substr(0, size))));
  };
  if (const auto text = reports_->Find(handle)) {
    Reply reply(request);
    return answer(reply, *text);
  }
  // Opened in the life of a process before this one. A reader that has begun must not get the end
  // of another text.
  if (offset > 0) return Reply(request).Errno(ESTALE);
  auto parked = lot_->Park(request);
  tree_->Report(id, [parked, answer, handle, reports = reports_](Result<std::string> text) {
    auto reply = parked->Take();
    if (!reply) return;
    if (!text) return reply->Fail(text.error());
    reports->Adopt(handle, *text);
    answer(*reply, *text);
  });
}

void Operations::ReadDir(fuse_req_t request, std::uint64_t id, std::size_t size,
                         std::uint64_t offset, Plus plus) {
  auto parked = lot_->Park(request);
  const std::size_t limit = size / (plus == Plus::kYes ? 160 : 32) + 1;
  const std::uint64_t from = offset < kDotEntries ? 0 : offset - kDotEntries;
  auto answer = [this, parked, id, offset, plus, buffer = buffers_->Get(size),
                 tree = tree_](Result<std::vector<DirectoryEntry>> entries) mutable {
    auto reply = parked->Take();
    if (!reply) return;
    if (!entries) return reply->Fail(entries.error());
    DirectoryBuffer out(reply->request(), std::move(buffer), plus);
    if (offset < 1) out.Add(".", DotEntry(id), 1);
    if (offset < 2) out.Add("..", DotEntry(id), 2);
    for (const DirectoryEntry& entry : *entries) {
      const fuse_entry_param shown = ToEntry(Shown(entry.node), tree->options());
      if (!out.Add(entry.name.c_str(), shown, entry.next + kDotEntries)) break;
    }
    reply->Data(out.Bytes());
  };
  tree_->Read(id, from, limit, std::move(answer));
}

void Operations::Statfs(fuse_req_t request) {
  constexpr unsigned long kBlock = 4096;
  const auto listed = tree_->Listed();
  struct statvfs values{};
  values.f_bsize = 1 << 20;
  values.f_frsize = kBlock;
  values.f_blocks = (listed.bytes + kBlock - 1) / kBlock;
  values.f_files = listed.files;
  values.f_namemax = kMaxNameBytes;
  Reply(request).Statfs(values);
}

void Operations::GetXattr(fuse_req_t request, std::uint64_t number, const char* name,
                          std::size_t size) {
  const std::uint64_t id = NodeId::Cold(number);
  Reply reply(request);
  const std::string_view wanted(name);
  if (!wanted.starts_with("user.modelfs.")) return reply.Errno(ENODATA);
  auto identity = tree_->Identity(id);
  if (!identity) return reply.Errno(ENODATA);
  auto value = wanted == kSignatureXattr
                   ? std::optional(signatures_ ? signatures_->StateOf(id) : "unchecked")
                   : XattrValue(wanted, *identity, tree_->options().cache->Find(*identity));
  if (!value) return reply.Errno(ENODATA);
  ReplyXattr(std::move(reply), *value, size);
}

void Operations::ListXattr(fuse_req_t request, std::uint64_t number, std::size_t size) {
  auto node = tree_->Get(NodeId::Cold(number));
  const bool is_file = node && node->kind == Node::Kind::kFile;
  ReplyXattr(Reply(request), is_file ? XattrNames() : std::string_view(), size);
}

void Operations::Access(fuse_req_t request, std::uint64_t, int mask) {
  Reply(request).Errno((mask & W_OK) != 0 ? EROFS : 0);
}

}  // namespace modelfs::fs
