#include "fs/csi/volumes.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <utility>

#include "fs/config.h"
#include "fs/config/default_paths.h"
#include "fs/control/control_client.h"
#include "fs/control/daemon_finder.h"

namespace modelfs::fs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kStatusLimit{1000};

long long MillisecondsSince(Clock::time_point begun) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun).count();
}

std::unexpected<CsiError> Busy(const std::string& volume_id) {
  return CsiFail(CsiCode::kAborted,
                 fmt::format("volume {}: another call for it is under way", volume_id));
}

/// The kubelet makes the parent; the last component is ours to make and to remove.
Result<void> MakeTarget(const std::string& target) {
  if (::mkdir(target.c_str(), 0750) == 0) return {};
  if (errno != EEXIST) return FailErrno(errno, fmt::format("mkdir {}", target));
  struct stat info{};
  if (::lstat(target.c_str(), &info) != 0)
    return FailErrno(errno, fmt::format("look at {}", target));
  if (S_ISDIR(info.st_mode)) return {};
  return Fail(Errc::kInvalid, fmt::format("target_path {} is no directory", target));
}

Result<void> RemoveTarget(const std::string& target) {
  if (::rmdir(target.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return {};
  return FailErrno(errno, fmt::format("rmdir {}", target));
}

}  // namespace

class Volumes::Turn {
 public:
  Turn(Volumes& owner, const std::string& volume) : owner_(owner), volume_(volume) {
    const MutexLock lock(owner_.mutex_);
    held_ = owner_.busy_.insert(volume_).second;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (!held_) return;
    const MutexLock lock(owner_.mutex_);
    owner_.busy_.erase(volume_);
  }
  explicit operator bool() const { return held_; }

 private:
  Volumes& owner_;
  const std::string volume_;
  bool held_ = false;
};

Volumes::Volumes(Options options, const VolumeFiles& files, VolumeMounts& mounts)
    : options_(std::move(options)), files_(files), mounts_(mounts) {}

CsiResult<void> Volumes::Publish(const Request& request) {
  const Turn turn(*this, request.volume_id);
  if (!turn) return Busy(request.volume_id);
  return PublishAlone(request);
}

bool Volumes::IsPublished(const std::string& target) {
  const auto table = mounts_.Table();
  const auto entry = table ? table->Find(target) : std::nullopt;
  return entry && entry->fs_type == kFsType;
}

CsiResult<void> Volumes::PublishAlone(const Request& request) {
  const auto begun = Clock::now();
  auto spec = ParseVolume(request.attributes);
  if (!spec) return std::unexpected(std::move(spec.error()));
  const auto known = files_.Load();
  if (!known) return CsiFail(known.error());
  VolumeRecord record{.volume_id = request.volume_id,
                      .target = request.target,
                      .domain = "",
                      .one_place = request.one_place,
                      .spec = *std::move(spec)};
  if (auto ok = CheckPlaces(record, *known); !ok) return ok;
  auto login = FindLogin(record.spec, request.attributes, request.secrets);
  if (!login) return std::unexpected(std::move(login.error()));
  record.domain = login->Domain();

  const auto before = std::ranges::find(*known, record.Key(), &VolumeFiles::Found::key);
  if (before != known->end() && before->record) {
    const VolumeRecord& old = *before->record;
    if (IsPublished(record.target)) {
      // What is mounted goes on as who it was, with what he has now.
      if (old.domain == record.domain) {
        if (auto saved = SaveLogin(*login); !saved) return CsiFail(saved.error());
      } else {
        spdlog::warn("csi.principal_changed volume={} target={}", record.volume_id, record.target);
      }
      republished_.fetch_add(1, std::memory_order_relaxed);
      return {};
    }
    if (auto back = TakeBack(old); !back) return back;
  }
  {
    const MutexLock lock(mutex_);
    ++mounting_[record.domain];
  }
  auto done = [&]() -> CsiResult<void> {
    if (auto saved = files_.Save(record); !saved) return CsiFail(saved.error());
    if (auto saved = SaveLogin(*login); !saved) return CsiFail(saved.error());
    return MountAndBind(record);
  }();
  {
    const MutexLock lock(mutex_);
    if (--mounting_[record.domain] == 0) mounting_.erase(record.domain);
  }
  if (!done) {
    std::ignore = TakeBack(record);
    spdlog::warn("csi.publish_failed volume={} target={} error=\"{}\"", record.volume_id,
                 record.target, done.error().what);
    return done;
  }
  published_.fetch_add(1, std::memory_order_relaxed);
  spdlog::info("csi.published volume={} target={} source={} domain={} ms={}", record.volume_id,
               record.target, record.spec.source, record.domain, MillisecondsSince(begun));
  return {};
}

/// The table of the specification, NodePublishVolume.
CsiResult<void> Volumes::CheckPlaces(const VolumeRecord& wanted,
                                     const std::vector<VolumeFiles::Found>& known) const {
  for (const auto& [key, record] : known) {
    if (!record) continue;
    const bool same_target = record->target == wanted.target;
    if (record->volume_id != wanted.volume_id) {
      if (!same_target) continue;
      return CsiFail(CsiCode::kAlreadyExists,
                     fmt::format("target_path {} is volume {}", wanted.target, record->volume_id));
    }
    if (!same_target) {
      if (!wanted.one_place && !record->one_place) continue;
      return CsiFail(CsiCode::kFailedPrecondition,
                     fmt::format("volume {} is published at {}, and its access mode allows one "
                                 "place at a time",
                                 wanted.volume_id, record->target));
    }
    const std::string difference = record->one_place != wanted.one_place
                                       ? "volume_capability.access_mode"
                                       : FirstDifference(record->spec, wanted.spec);
    if (difference.empty()) continue;
    return CsiFail(CsiCode::kAlreadyExists,
                   fmt::format("volume {} is published at {} with another '{}'", wanted.volume_id,
                               wanted.target, difference));
  }
  return {};
}

VolumeMounts::Request Volumes::MountRequest(const VolumeRecord& record) const {
  const VolumeSpec& spec = record.spec;
  const std::string key = record.Key();
  VolumeMounts::Request request{.path = files_.MountPath(key)};
  const auto flag = [&](std::string name, const std::string& value) {
    std::ranges::replace(name, '_', '-');
    request.arguments.insert(request.arguments.end(), {"--" + name, value});
  };
  request.arguments = options_.mount_arguments;
  flag("cache", (std::filesystem::path(options_.cache_root) / record.domain).string());
  flag("source", spec.IsMlflow() ? spec.source : fmt::format("{}={}", kSourceName, spec.source));
  request.arguments.emplace_back("--allow-other");
  if (spec.anonymous && spec.IsS3()) request.arguments.emplace_back("--anonymous");
  for (const auto& [name, value] : spec.flags) flag(name, value);

  // Nothing of the driver's own gets in.
  request.environment = options_.environment;
  const auto variable = [&](std::string_view name, const std::string& value) {
    request.environment.push_back(fmt::format("{}={}", name, value));
  };
  variable("HOME", files_.HomePath(key));
  variable("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  variable("AWS_EC2_METADATA_DISABLED", "true");
  const auto file = [&](const char* name) -> std::optional<std::string> {
    std::string path = files_.LoginFile(record.domain, name);
    return ::access(path.c_str(), R_OK) == 0 ? std::optional(std::move(path)) : std::nullopt;
  };
  if (const auto aws = file("aws")) variable("AWS_SHARED_CREDENTIALS_FILE", *aws);
  if (!spec.role_arn.empty()) {
    variable("AWS_ROLE_ARN", spec.role_arn);
    variable("AWS_WEB_IDENTITY_TOKEN_FILE", files_.LoginFile(record.domain, "token"));
    if (!spec.sts_endpoint.empty()) variable("AWS_ENDPOINT_URL_STS", spec.sts_endpoint);
  }
  if (!spec.IsS3()) {
    if (const auto auth = file("auth")) {
      flag("auth-file", *auth);
    } else if (const auto token = file("token")) {
      flag("token-file", *token);
    }
  }
  if (const auto ca = file("ca.crt")) flag("ca-bundle", *ca);
  return request;
}

CsiResult<void> Volumes::MountAndBind(const VolumeRecord& record) {
  const auto mount = MountRequest(record);
  if (auto mounted = mounts_.Mount(mount); !mounted) return CsiFail(std::move(mounted.error()));
  if (auto made = MakeTarget(record.target); !made) return CsiFail(std::move(made.error()));
  const std::string inside = record.spec.PathInMount();
  auto bound = mounts_.Bind(inside.empty() ? mount.path : mount.path + "/" + inside, record.target);
  if (bound) return {};
  if (bound.error().code == Errc::kNotFound) {
    return CsiFail(CsiCode::kNotFound,
                   record.spec.version.empty()
                       ? fmt::format("volume attribute 'model': {} has no model '{}'",
                                     record.spec.source, record.spec.model)
                       : fmt::format("volume attribute 'version': {} has no model '{}' of version "
                                     "'{}'",
                                     record.spec.source, record.spec.model, record.spec.version));
  }
  // The kernel says EIO for whatever an origin does.
  if (bound.error().code == Errc::kIo) bound.error().code = Errc::kTransient;
  return CsiFail(std::move(bound.error()));
}

Result<void> Volumes::SaveLogin(const VolumeLogin& login) {
  const MutexLock lock(logins_);
  return files_.SaveLogin(login);
}

/// Leaves nothing of it: target, mount, record.
CsiResult<void> Volumes::TakeBack(const VolumeRecord& record) {
  const std::string key = record.Key();
  if (auto done = mounts_.Unbind(record.target); !done) return CsiFail(std::move(done.error()));
  if (auto done = RemoveTarget(record.target); !done) return CsiFail(std::move(done.error()));
  if (auto done = mounts_.Unmount(files_.MountPath(key)); !done) {
    return CsiFail(std::move(done.error()));
  }
  files_.Remove(key);
  ForgetLogin(record.domain);
  return {};
}

/// Once no volume has it. The cache stays for the next one.
void Volumes::ForgetLogin(const std::string& domain) {
  if (domain.empty()) return;
  const MutexLock lock(logins_);
  {
    const MutexLock inner(mutex_);
    if (mounting_.contains(domain)) return;  // Who comes later writes it anew.
  }
  const auto known = files_.Load();
  if (!known) return;
  const bool used = std::ranges::any_of(*known, [&](const VolumeFiles::Found& found) {
    return found.record && found.record->domain == domain;
  });
  if (!used) files_.RemoveLogin(domain);
}

CsiResult<void> Volumes::Unpublish(const std::string& volume_id, const std::string& target) {
  const auto begun = Clock::now();
  const Turn turn(*this, volume_id);
  if (!turn) return Busy(volume_id);
  VolumeRecord record{.volume_id = volume_id, .target = target};
  const auto known = files_.Find(record.Key());
  if (known) record = *known;
  // Whose the target is without a record of ours is not for us to say, but who made us forget it
  // may have left it.
  if (auto done = TakeBack(record); !done) return done;
  if (known) {
    unpublished_.fetch_add(1, std::memory_order_relaxed);
    spdlog::info("csi.unpublished volume={} target={} ms={}", volume_id, target,
                 MillisecondsSince(begun));
  }
  return {};
}

CsiResult<Volumes::Condition> Volumes::Look(const std::string& volume_id,
                                            const std::string& target) {
  const std::string key = VolumeRecord{.volume_id = volume_id, .target = target}.Key();
  const auto record = files_.Find(key);
  if (!record || !IsPublished(target)) {
    return CsiFail(CsiCode::kNotFound,
                   fmt::format("volume {} is not published at {}", volume_id, target));
  }
  const auto cache = std::filesystem::path(options_.cache_root) / record->domain;
  const auto socket = ControlSocketPath(cache, ProcessEnvironment());
  auto status = socket ? ControlClient(*socket, {.timeout = kStatusLimit}).Status()
                       : std::unexpected(socket.error());
  if (!status) {
    return Condition{.problem = fmt::format("its daemon does not answer: {}", status.error().what)};
  }
  Condition condition{.problem = status->value("problem", "")};
  const std::string path = files_.MountPath(key);
  for (const auto& mount : status->value("mounts", nlohmann::json::array())) {
    if (mount.value("mountpoint", "") != path) continue;
    for (const auto& source : mount.value("sources", nlohmann::json::array())) {
      const auto number = [&](const char* name) -> std::uint64_t {
        const auto it = source.find(name);
        return it != source.end() && it->is_number_unsigned() ? it->get<std::uint64_t>() : 0;
      };
      condition.total_bytes += number("total_bytes");
      condition.cached_bytes += number("cached_bytes");
    }
    return condition;
  }
  condition.problem = "its daemon has no such mount";
  return condition;
}

void Volumes::Recover() {
  const auto known = files_.Load();
  if (!known) {
    spdlog::error("csi.state_unreadable error=\"{}\"", known.error().what);
    return;
  }
  for (const auto& [key, record] : *known) {
    const std::string volume = record ? record->volume_id : "?" + key;
    const Turn turn(*this, volume);
    if (!turn || (record && IsPublished(record->target))) continue;
    if (record) {
      if (auto back = TakeBack(*record); !back) {
        spdlog::warn("csi.recover_failed volume={} target={} error=\"{}\"", record->volume_id,
                     record->target, back.error().what);
        continue;
      }
    } else {
      std::ignore = mounts_.Unmount(files_.MountPath(key));
      files_.Remove(key);
    }
    recovered_.fetch_add(1, std::memory_order_relaxed);
    spdlog::info("csi.recovered volume={} target={}", volume, record ? record->target : "");
  }
}

Volumes::Counts Volumes::counts() const {
  const auto known = files_.Load();
  return {.published = published_,
          .republished = republished_,
          .unpublished = unpublished_,
          .recovered = recovered_,
          .volumes = known ? known->size() : 0};
}

}  // namespace modelfs::fs
