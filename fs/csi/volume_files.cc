#include "fs/csi/volume_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>

#include "fetch/base/handle.h"
#include "fetch/base/sha256.h"
#include "fetch/base/small_file.h"
#include "fs/copy/file_io.h"
#include "fs/daemon/runtime_files.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;

/// So that a reader sees all of it, or what was there before.
Result<void> Replace(const stdfs::path& path, std::string_view text) {
  if (const auto old = ReadSmallFile(path.string()); old && *old == text) return {};
  const std::string fresh = path.string() + ".new";
  const Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return FailErrno(errno, fmt::format("write {}", fresh));
  if (auto done = WriteAt(file.get(), 0, std::as_bytes(std::span(text)), fresh); !done) return done;
  if (::fsync(file.get()) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
    return FailErrno(errno, fmt::format("write {}", path.string()));
  }
  return {};
}

Result<void> ReplaceOrRemove(const stdfs::path& path, std::string_view text) {
  if (!text.empty()) return Replace(path, text);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return FailErrno(errno, fmt::format("remove {}", path.string()));
}

std::optional<VolumeRecord> ReadRecord(const stdfs::path& path) {
  const auto text = ReadSmallFile(path.string());
  if (!text) return std::nullopt;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  try {
    auto spec = VolumeSpecFromJson(json.at("spec"));
    if (!spec || json.at("v").get<int>() != 1) return std::nullopt;
    return VolumeRecord{.volume_id = json.at("volume_id").get<std::string>(),
                        .target = json.at("target").get<std::string>(),
                        .domain = json.at("domain").get<std::string>(),
                        .one_place = json.at("one_place").get<bool>(),
                        .spec = *std::move(spec)};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

std::string VolumeRecord::Key() const {
  return Hex(Sha256(fmt::format("{} {} {}", volume_id.size(), volume_id, target))).substr(0, 32);
}

Result<void> VolumeFiles::Prepare() const {
  if (auto made = MakeDirectories(state_ / "volumes"); !made) return made;
  return MakeDirectories(state_ / "logins");
}

std::optional<VolumeRecord> VolumeFiles::Find(const std::string& key) const {
  auto record = ReadRecord(state_ / "volumes" / key / "volume.json");
  if (record && record->Key() != key) record.reset();
  return record;
}

Result<std::vector<VolumeFiles::Found>> VolumeFiles::Load() const {
  std::vector<Found> found;
  std::error_code error;
  for (const auto& entry : stdfs::directory_iterator(state_ / "volumes", error)) {
    const std::string key = entry.path().filename().string();
    found.push_back({.key = key, .record = Find(key)});
  }
  if (error) return FailErrno(error.value(), fmt::format("list {}", volumes()));
  return found;
}

Result<void> VolumeFiles::Save(const VolumeRecord& record) const {
  const stdfs::path folder = state_ / "volumes" / record.Key();
  for (const char* name : {"mnt", "home"}) {
    if (auto made = MakeDirectories(folder / name); !made) return made;
  }
  const nlohmann::json json{{"v", 1},
                            {"volume_id", record.volume_id},
                            {"target", record.target},
                            {"domain", record.domain},
                            {"one_place", record.one_place},
                            {"spec", ToJson(record.spec)}};
  return Replace(folder / "volume.json",
                 json.dump(1, ' ', true, nlohmann::json::error_handler_t::replace));
}

void VolumeFiles::Remove(const std::string& key) const {
  const stdfs::path folder = state_ / "volumes" / key;
  // One by one: what is below mnt/ would be somebody else's.
  ::rmdir((folder / "mnt").c_str());
  std::error_code error;
  stdfs::remove_all(folder / "home", error);
  for (const char* name : {"volume.json", "volume.json.new"}) ::unlink((folder / name).c_str());
  ::rmdir(folder.c_str());
}

std::string VolumeFiles::MountPath(const std::string& key) const {
  return (state_ / "volumes" / key / "mnt").string();
}

std::string VolumeFiles::HomePath(const std::string& key) const {
  return (state_ / "volumes" / key / "home").string();
}

std::string VolumeFiles::LoginFile(const std::string& domain, const char* name) const {
  return (state_ / "logins" / domain / name).string();
}

Result<void> VolumeFiles::SaveLogin(const VolumeLogin& login) const {
  const std::string domain = login.Domain();
  if (auto made = MakeDirectories(state_ / "logins" / domain); !made) return made;
  std::string aws;
  if (!login.access_key_id.empty()) {
    aws = fmt::format("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
                      login.access_key_id, login.secret_access_key);
    if (!login.session_token.empty()) {
      aws += fmt::format("aws_session_token = {}\n", login.session_token);
    }
  }
  const std::string auth =
      login.user.empty() ? "" : fmt::format("{}:{}\n", login.user, login.password);
  const std::pair<const char*, const std::string&> files[] = {
      {"aws", aws}, {"token", login.token}, {"auth", auth}, {"ca.crt", login.ca_cert}};
  for (const auto& [name, text] : files) {
    if (auto done = ReplaceOrRemove(LoginFile(domain, name), text); !done) return done;
  }
  return {};
}

void VolumeFiles::RemoveLogin(const std::string& domain) const {
  std::error_code error;
  stdfs::remove_all(state_ / "logins" / domain, error);
}

}  // namespace modelfs::fs
