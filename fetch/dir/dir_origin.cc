#include "fetch/dir/dir_origin.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "fetch/base/percent.h"
#include "fetch/dir/dir_lister.h"
#include "fetch/dir/dir_reader.h"

namespace modelfs::fetch {

Result<std::shared_ptr<DirOrigin>> DirOrigin::Create(std::string root, WorkerPool* pool,
                                                     Bandwidth* bandwidth) {
  if (!root.starts_with('/') || root.find('\0') != std::string::npos) {
    return Fail(Errc::kInvalid,
                fmt::format("'dir:{}': expected an absolute path, dir:/path", Printable(root)));
  }
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  return std::shared_ptr<DirOrigin>(new DirOrigin(std::move(root), pool, bandwidth));
}

DirOrigin::~DirOrigin() { stop_.request_stop(); }

void DirOrigin::List(std::string directory, Done<Listing> done) {
  pool_->Post([root = root_, directory = std::move(directory), stop = stop_.get_token(),
               done = std::move(done)]() mutable { done(ListDirectory(root, directory, stop)); });
}

ObjectId DirOrigin::Pin(std::string_view directory, const Entry& entry) const {
  return {.domain = "local",
          .source = "dir:" + root_,
          .key = fmt::format("{}{}", directory, entry.name),
          .tag = entry.tag,
          .size_bytes = entry.size_bytes};
}

void DirOrigin::Read(const ObjectId& object, ByteRange range, std::shared_ptr<BodySink> sink,
                     Done<void> done) {
  pool_->Post([root = root_, object, range, sink = std::move(sink), stop = stop_.get_token(),
               bandwidth = bandwidth_, done = std::move(done)]() mutable {
    Result<void> result = ReadDirObject(root, object, range, *sink, stop, bandwidth);
    done(std::move(result));
  });
}

void DirOrigin::Probe(std::chrono::milliseconds /*deadline*/, Done<void> done) {
  pool_->Post([root = root_, done = std::move(done)]() mutable {
    const Fd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) return done({});
    const int error = errno;
    done(FailErrno(error, fmt::format("directory '{}'", Printable(root))));
  });
}

}  // namespace modelfs::fetch
