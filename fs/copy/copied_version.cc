#include "fs/copy/copied_version.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "fetch/base/handle.h"
#include "fetch/base/percent.h"
#include "fetch/base/sha256.h"
#include "fetch/base/small_file.h"
#include "fs/copy/file_io.h"

namespace modelfs::fs {
namespace {

using Dir = Handle<DIR, ::closedir>;

/// A million long paths.
constexpr std::size_t kMostRecordBytes = 1u << 30;

/// Adds the files below folder `number`, whose own path is `prefix`.
void AddFiles(const VersionFiles& version, std::uint32_t number, const std::string& prefix,
              std::vector<CopyFile>& files) {
  const VersionFiles::Node* const folder = version.At(number);
  if (folder == nullptr) return;
  for (std::uint32_t child = folder->first; child < folder->first + folder->count; ++child) {
    const VersionFiles::Node& node = *version.At(child);
    std::string path = prefix + node.name;
    if (!node.is_file) {
      AddFiles(version, child, path + "/", files);
    } else if (path == kCopyRecord) {
      spdlog::warn(
          "copy.file_left_out version=\"{}\" path={} reason=\"its name is that of our record\"",
          version.origin()->Describe(), path);
    } else {
      files.push_back({.path = std::move(path), .object = version.Identity(child)});
    }
  }
}

Result<bool> IsEmpty(const Fd& directory, const std::string& path) {
  Fd copy(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy) return FailErrno(errno, "list " + path);
  const Dir dir(::fdopendir(copy.get()));
  if (!dir) return FailErrno(errno, "list " + path);
  copy.Release();
  errno = 0;
  for (const dirent* entry = ::readdir(dir.get()); entry != nullptr; entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return false;
  }
  if (errno != 0) return FailErrno(errno, "list " + path);
  return true;
}

/// "FILE is missing"; nullopt: it is there, with its size. `line`: "<size> <path>".
std::optional<std::string> WrongWith(int directory, std::string_view line) {
  std::uint64_t size = 0;
  const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), size);
  if (error != std::errc() || stop == line.data() + line.size() || *stop != ' ') {
    return fmt::format("{} makes no sense", kCopyRecord);
  }
  const std::string path(stop + 1, line.data() + line.size());
  struct stat info{};
  if (::fstatat(directory, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return fmt::format("{} is missing", Printable(path, 256));
  }
  if (!S_ISREG(info.st_mode)) return fmt::format("{} is no file any more", Printable(path, 256));
  if (static_cast<std::uint64_t>(info.st_size) == size) return std::nullopt;
  return fmt::format("{} has {} bytes instead of {}", Printable(path, 256), info.st_size, size);
}

/// The head of a record: what it is of. Names are encoded, so that a line is a line.
std::string RecordHead(const std::string& model, std::uint64_t number) {
  return fmt::format("modelfs-copy 1\nmodel {}\nversion {}\n", PercentEncode(model, Slash::kEncode),
                     number);
}

std::string CreatedLine(std::int64_t created_ms) { return fmt::format("created {}\n", created_ms); }

}  // namespace

std::uint64_t CopyList::bytes() const {
  std::uint64_t sum = 0;
  for (const CopyFile& file : files) sum += file.object.size_bytes;
  return sum;
}

std::string CopyList::Identity() const {
  std::string text = fmt::format("{}{}{}\n", RecordHead(subject.model, subject.number),
                                 CreatedLine(subject.created_ms), subject.uri);
  for (const CopyFile& file : files) {
    text += fmt::format("{} {}\n", file.object.Digest(), file.path);
  }
  return Hex(Sha256(text));
}

CopyList ListForCopy(const VersionFiles& version) {
  const fetch::VersionManifest& manifest = version.manifest();
  CopyList list{.subject = {.model = manifest.model,
                            .number = manifest.version.number,
                            .created_ms = manifest.version.created_ms,
                            .uri = manifest.uri},
                .files = {}};
  list.files.reserve(version.file_count());
  AddFiles(version, VersionFiles::kTop, "", list.files);
  return list;
}

Result<PlaceState> LookAtPlace(const std::string& path, const std::string& model,
                               std::uint64_t number, std::optional<std::int64_t> created_ms) {
  using Kind = PlaceState::Kind;
  const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) {
    if (errno == ENOENT) return PlaceState{.kind = Kind::kFree, .why = ""};
    if (errno == ENOTDIR || errno == ELOOP) {
      return PlaceState{.kind = Kind::kForeign, .why = "it is no folder"};
    }
    return FailErrno(errno, "open " + path);
  }
  const auto record = ReadSmallFile(fmt::format("{}/{}", path, kCopyRecord), kMostRecordBytes);
  if (!record) {
    if (record.error().code != Errc::kNotFound) return std::unexpected(record.error());
    auto empty = IsEmpty(directory, path);
    if (!empty) return std::unexpected(std::move(empty.error()));
    if (*empty) return PlaceState{.kind = Kind::kFree, .why = ""};
    return PlaceState{.kind = Kind::kForeign, .why = fmt::format("it has no {}", kCopyRecord)};
  }
  const std::string head = RecordHead(model, number);
  if (!record->starts_with(head) || record->size() == head.size()) {
    return PlaceState{.kind = Kind::kForeign,
                      .why = fmt::format("its {} is of something else", kCopyRecord)};
  }
  std::string_view rest = std::string_view(*record).substr(head.size());
  const std::size_t created_end = std::min(rest.find('\n'), rest.size() - 1) + 1;
  if (created_ms && rest.substr(0, created_end) != CreatedLine(*created_ms)) {
    return PlaceState{.kind = Kind::kDamaged,
                      .why = "the registry's version was made anew since it was copied"};
  }
  rest.remove_prefix(created_end);
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    if (auto wrong = WrongWith(directory.get(), rest.substr(0, end))) {
      return PlaceState{.kind = Kind::kDamaged, .why = *std::move(wrong)};
    }
    rest.remove_prefix(end + 1);
  }
  return PlaceState{.kind = Kind::kWhole, .why = ""};
}

Result<void> WriteCopyRecord(int directory, const CopyList& list) {
  std::string text =
      RecordHead(list.subject.model, list.subject.number) + CreatedLine(list.subject.created_ms);
  for (const CopyFile& file : list.files) {
    text += fmt::format("{} {}\n", file.object.size_bytes, file.path);
  }
  const Fd file(::openat(directory, kCopyRecord,
                         O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) return FailErrno(errno, fmt::format("make {}", kCopyRecord));
  if (auto written = WriteAt(file.get(), 0, std::as_bytes(std::span(text)), kCopyRecord);
      !written) {
    return written;
  }
  if (::fsync(file.get()) != 0) return FailErrno(errno, fmt::format("sync {}", kCopyRecord));
  return {};
}

}  // namespace modelfs::fs
