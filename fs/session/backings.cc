#include "fs/session/backings.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "fs/session/fuse_api.h"
#include "fs/tree/node_id.h"
#include "fs/tree/node_record.h"

namespace modelfs::fs {
namespace {

std::uint64_t RetryKey(std::uint32_t pid, std::uint64_t cold) {
  return cold ^ (std::uint64_t{pid} << 1 | 1) * 0x9E3779B97F4A7C15u;
}

/// Why the kernel does not take a file; "" when that is of this file only.
std::string Refusal(int error_number) {
  switch (error_number) {
    case EPERM: return "the kernel asks for CAP_SYS_ADMIN, or the mount was made without it";
    case ELOOP: return "the cache lies on a filesystem that is stacked too deeply (overlay)";
    case EOPNOTSUPP:
    case ENOTTY:
    case EINVAL:
      return "not in this kernel (Linux 6.9 or newer), or not for the cache's filesystem";
    default: return {};
  }
}

}  // namespace

void Backings::Start(Life life) {
  {
    const MutexLock lock(mutex_);
    if (std::exchange(started_, true) || !tree_->options().nodes) return;
    if (life == Life::kSuccessor) tell_from_ = Clock::now() + kHoldTime;
  }
  std::unordered_map<std::uint64_t, File> files;
  const auto read = tree_->options().nodes->Replay([&](std::string_view bytes) -> Result<void> {
    if (!IsBackingRecord(bytes)) return {};
    auto record = DecodeNodeRecord(bytes);
    if (!record) return std::unexpected(std::move(record.error()));
    if (const auto* backing = std::get_if<BackingRecord>(&*record)) {
      File& file = files[backing->node];
      file.life = backing->life;
      file.backing_id = backing->backing_id;
    }
    return {};
  });
  if (!read) spdlog::error("passthrough.log_unreadable error=\"{}\"", read.error().what);
  {
    const MutexLock lock(mutex_);
    files_ = files;
    for (const auto& [cold, file] : files) open_ids_ += file.backing_id != 0 ? 1 : 0;
  }
  for (const auto& [cold, file] : files) {
    if (file.backing_id == 0) continue;
    const auto id = tree_->Identity(cold);
    if (!id || !tree_->options().cache->Find(*id)) {
      GiveUp(cold, file.life);  // It went while nobody looked.
      continue;
    }
    Watch(cold, file.life, *id);
    Hold(cold, kHoldTime);
  }
}

/// Keeps the file of a hot number where it is.
void Backings::Hold(std::uint64_t cold, std::chrono::seconds time) {
  const auto until = Clock::now() + time;
  {
    const MutexLock lock(mutex_);
    File& file = files_[cold];
    if (file.held) {
      file.held_until = std::max(file.held_until, until);
      return;
    }
  }
  auto object = tree_->Open(cold);
  if (!object) return;
  const MutexLock lock(mutex_);
  File& file = files_[cold];
  if (!file.held && !closed_) file.held = *std::move(object);
  file.held_until = std::max(file.held_until, until);
}

void Backings::Tick(Clock::time_point now) {
  std::vector<Object> dropped;  // After the lock.
  {
    const MutexLock lock(mutex_);
    for (auto& [cold, file] : files_) {
      if (!file.held || now < file.held_until) continue;
      dropped.push_back(std::move(file.held));
      file.retries = 0;  // Whoever has not come by now does not.
    }
  }
}

void Backings::Watch(std::uint64_t cold, std::uint32_t life, const fetch::ObjectId& id) {
  tree_->options().cache->WhenGone(id, [weak = weak_from_this(), cold, life] {
    if (const auto self = weak.lock()) self->GiveUp(cold, life);
  });
}

void Backings::Disable(std::string why) {
  const MutexLock lock(mutex_);
  if (!disabled_.empty()) return;
  disabled_ = std::move(why);
  spdlog::info("passthrough.off why=\"{}\"", disabled_);
}

void Backings::Close() {
  std::vector<Object> dropped;  // After the lock.
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    for (auto& [cold, file] : files_) {
      if (file.held) dropped.push_back(std::move(file.held));
    }
  }
}

std::uint64_t Backings::Show(std::uint32_t pid, std::uint64_t cold) {
  {
    const MutexLock lock(mutex_);
    if (!retries_.contains(RetryKey(pid, cold))) return CurrentOf(cold);
  }
  if (NodeId::IsHot(Current(cold))) Hold(cold, kShownTime);
  return Current(cold);
}

void Backings::NoteOpen(std::uint64_t cold) {
  Object dropped;  // After the lock.
  {
    const MutexLock lock(mutex_);
    // What a predecessor has handed out stays: others may be about to open it.
    if (Clock::now() < tell_from_) return;
    const auto found = files_.find(cold);
    if (found != files_.end() && found->second.retries == 0) dropped.swap(found->second.held);
  }
}

std::uint64_t Backings::Current(std::uint64_t cold) const {
  const MutexLock lock(mutex_);
  return CurrentOf(cold);
}

std::uint64_t Backings::CurrentOf(std::uint64_t cold) const {
  const auto found = files_.find(cold);
  if (found == files_.end() || found->second.backing_id == 0) return cold;
  return NodeId::Hot(cold, found->second.life);
}

std::optional<std::int32_t> Backings::Find(std::uint64_t hot) const {
  const MutexLock lock(mutex_);
  const std::uint64_t cold = NodeId::Cold(hot);
  const auto found = files_.find(cold);
  if (found == files_.end() || found->second.backing_id == 0) return std::nullopt;
  if (NodeId::Hot(cold, found->second.life) != hot) return std::nullopt;
  return found->second.backing_id;
}

/// Until who was told to look it up again has opened it.
void Backings::Keep(File& file, const Object& object) {
  file.held = object;
  file.held_until = std::max(file.held_until, Clock::now() + kShownTime);
}

bool Backings::Prepare(std::uint64_t cold, const Object& object) {
  if (object->id().size_bytes < kLeastBytes) return false;
  {
    const MutexLock lock(mutex_);
    if (closed_ || !started_ || !disabled_.empty() || Clock::now() < tell_from_) return false;
    const auto found = files_.find(cold);
    if (found != files_.end() && found->second.backing_id != 0) {
      Keep(found->second, object);
      return true;
    }
  }
  if (!object->IsTrusted()) {
    object->WantSealed();
    return false;
  }
  std::uint32_t life = 0;
  {
    const MutexLock lock(mutex_);
    life = (files_[cold].life + 1) % NodeId::kLives;
  }
  // From here on we are told when the file is removed.
  Watch(cold, life, object->id());
  auto data = object->OpenSealed();
  if (!data) return false;
  std::string refusal;
  {
    const MutexLock lock(mutex_);
    if (closed_) return false;
    File& file = files_[cold];
    Keep(file, object);
    if (file.backing_id != 0) return true;  // Somebody was quicker.
    if ((file.life + 1) % NodeId::kLives != life) return false;
    FuseBackingMap map{.fd = data->get(), .flags = 0, .padding = 0};
    const int id = ::ioctl(device_, kFuseBackingOpen, &map);
    if (id > 0) {
      file.life = life;
      file.backing_id = id;
      ++open_ids_;
      Log(cold, file);
    } else {
      refusal = Refusal(errno);
      if (refusal.empty()) {
        spdlog::warn("passthrough.refused object={} error=\"{}\"", object->id().Describe(),
                     std::generic_category().message(errno));
        return false;
      }
    }
  }
  if (!refusal.empty()) {
    Disable(std::move(refusal));
    return false;
  }
  // Removed in between, before there was anything to give up?
  if (!object->IsTrusted()) GiveUp(cold, life);
  return NodeId::IsHot(Current(cold));
}

void Backings::GiveUp(std::uint64_t cold, std::uint32_t life) {
  const MutexLock lock(mutex_);
  const auto found = files_.find(cold);
  if (closed_ || found == files_.end() || found->second.life != life) return;
  if (found->second.backing_id == 0) return;
  auto id = static_cast<std::uint32_t>(std::exchange(found->second.backing_id, 0));
  --open_ids_;
  Log(cold, found->second);
  // What is open goes on; the kernel lets go of the file with the last of those.
  static_cast<void>(::ioctl(device_, kFuseBackingClose, &id));
}

void Backings::Log(std::uint64_t cold, const File& file) {
  Append(tree_->options().nodes,
         BackingRecord{.node = cold, .life = file.life, .backing_id = file.backing_id});
}

void Backings::NoteRetry(std::uint32_t pid, std::uint64_t cold) {
  const auto now = Clock::now();
  const MutexLock lock(mutex_);
  if (retries_.size() > 1024) {
    std::erase_if(retries_, [&](const auto& e) { return now - e.second.at > kRetryTime; });
  }
  Retry& retry = retries_[RetryKey(pid, cold)];
  if (now - retry.at > kRetryTime) retry.count = 0;
  ++retry.count;
  ++files_[cold].retries;
  retry.at = now;
}

bool Backings::TakeRetry(std::uint32_t pid, std::uint64_t cold) {
  const MutexLock lock(mutex_);
  const auto found = retries_.find(RetryKey(pid, cold));
  if (found == retries_.end()) return false;
  if (int& retries = files_[cold].retries; retries > 0) --retries;
  const bool fresh = Clock::now() - found->second.at <= kRetryTime;
  if (--found->second.count <= 0 || !fresh) retries_.erase(found);
  return fresh;
}

PassthroughState Backings::state() const {
  const MutexLock lock(mutex_);
  return {.on = started_ && disabled_.empty(), .why = disabled_, .files = open_ids_};
}

}  // namespace modelfs::fs
