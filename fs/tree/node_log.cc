#include "fs/tree/node_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace modelfs::fs {
namespace {

constexpr std::array<char, 8> kMagic{'M', 'F', 'S', 'N', 'O', 'D', 'E', '1'};
constexpr off_t kCommittedAt = sizeof kMagic;
constexpr off_t kRecordsAt = kCommittedAt + sizeof(std::uint64_t);
/// As `committed`: something is missing.
constexpr std::uint64_t kBroken = ~std::uint64_t{0};

bool WriteCommitted(int fd, std::uint64_t committed) {
  return ::pwrite(fd, &committed, sizeof committed, kCommittedAt) == sizeof committed;
}

std::unexpected<Error> Damaged(std::string_view how) {
  return Fail(Errc::kCorrupt, fmt::format("node log: {}", how));
}

}  // namespace

Result<std::shared_ptr<NodeLog>> NodeLog::Create(FaultPoints* faults) {
  Fd fd(::memfd_create("modelfs-nodes", MFD_CLOEXEC));
  if (!fd) return FailErrno(errno, "memfd_create for node ids");
  if (::pwrite(fd.get(), kMagic.data(), kMagic.size(), 0) != static_cast<ssize_t>(kMagic.size()) ||
      !WriteCommitted(fd.get(), 0)) {
    return FailErrno(errno, "writing the head of a node log");
  }
  return std::shared_ptr<NodeLog>(new NodeLog(std::move(fd), 0, faults));
}

Result<std::shared_ptr<NodeLog>> NodeLog::Adopt(Fd log, FaultPoints* faults) {
  std::array<char, kMagic.size()> magic{};
  std::uint64_t committed = 0;
  const std::array<iovec, 2> head{iovec{magic.data(), magic.size()},
                                  iovec{&committed, sizeof committed}};
  if (::preadv(log.get(), head.data(), head.size(), 0) != kRecordsAt || magic != kMagic) {
    return Damaged("no such log");
  }
  if (committed == kBroken) return Damaged("its writer could not keep it whole");
  return std::shared_ptr<NodeLog>(new NodeLog(std::move(log), committed, faults));
}

void NodeLog::Append(std::string_view record) {
  if (faults_ != nullptr) faults_->Hit("node_log.append");
  Add(record);
  if (faults_ != nullptr) faults_->Hit("node_log.appended");
}

void NodeLog::Add(std::string_view record) {
  auto length = static_cast<std::uint32_t>(record.size());
  const std::array<iovec, 2> parts{iovec{&length, sizeof length},
                                   iovec{const_cast<char*>(record.data()), record.size()}};
  const std::size_t size = sizeof length + record.size();
  MutexLock lock(mutex_);
  if (broken_) return;
  const off_t at = kRecordsAt + static_cast<off_t>(committed_);
  if (record.size() <= kMaxRecordBytes &&
      ::pwritev(fd_.get(), parts.data(), parts.size(), at) == static_cast<ssize_t>(size) &&
      WriteCommitted(fd_.get(), committed_ + size)) {
    committed_ += size;
    return;
  }
  const int error = errno;
  broken_ = true;
  // The head has its memory already, so this cannot fail for want of it.
  const bool told = WriteCommitted(fd_.get(), kBroken);
  spdlog::error("nodes.not_kept bytes={} errno={} marked={}: a crash of this process would be seen",
                size, error, told);
}

Result<void> NodeLog::Replay(
    const std::function<Result<void>(std::string_view record)>& visit) const {
  std::uint64_t size = 0;
  {
    MutexLock lock(mutex_);
    size = committed_;
  }
  std::string record;
  for (std::uint64_t at = 0; at < size;) {
    std::uint32_t length = 0;
    const off_t from = kRecordsAt + static_cast<off_t>(at);
    if (::pread(fd_.get(), &length, sizeof length, from) != sizeof length ||
        length > kMaxRecordBytes || at + sizeof length + length > size) {
      return Damaged(fmt::format("no record at {} of {}", at, size));
    }
    record.resize(length);
    if (::pread(fd_.get(), record.data(), length, from + static_cast<off_t>(sizeof length)) !=
        static_cast<ssize_t>(length)) {
      return Damaged(fmt::format("the record at {} cannot be read", at));
    }
    if (auto visited = visit(record); !visited) return visited;
    at += sizeof length + length;
  }
  return {};
}

bool NodeLog::broken() const {
  MutexLock lock(mutex_);
  return broken_;
}

Result<Fd> NodeLog::Share() const {
  Fd copy(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) return FailErrno(errno, "sharing a node log");
  return copy;
}

}  // namespace modelfs::fs
