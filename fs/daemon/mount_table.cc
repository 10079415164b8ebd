#include "fs/daemon/mount_table.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "fetch/base/handle.h"

namespace modelfs::fs {
namespace {

std::string_view NextField(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view field = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return field;
}

template <class T>
bool ParseNumber(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

/// Space, tab, newline and backslash are written as \040, \011, \012 and \134.
std::string Unescape(std::string_view field) {
  std::string out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size() && IsOctal(field[i + 1]) &&
        IsOctal(field[i + 2]) && IsOctal(field[i + 3])) {
      out += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 +
                               (field[i + 3] - '0'));
      i += 3;
    } else {
      out += field[i];
    }
  }
  return out;
}

// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
std::optional<MountEntry> ParseLine(std::string_view line) {
  MountEntry entry;
  if (!ParseNumber(NextField(line), entry.id) || !ParseNumber(NextField(line), entry.parent)) {
    return std::nullopt;
  }
  const std::string_view device = NextField(line);
  const std::size_t colon = device.find(':');
  if (colon == std::string_view::npos ||
      !ParseNumber(device.substr(0, colon), entry.device_major) ||
      !ParseNumber(device.substr(colon + 1), entry.device_minor)) {
    return std::nullopt;
  }
  NextField(line);  // The root within the filesystem.
  entry.mountpoint = Unescape(NextField(line));
  NextField(line);                                           // Mount options.
  while (!line.empty() && NextField(line) != "-") continue;  // Optional fields.
  entry.fs_type = Unescape(NextField(line));
  entry.source = Unescape(NextField(line));
  if (entry.mountpoint.empty() || entry.fs_type.empty()) return std::nullopt;
  return entry;
}

}  // namespace

MountTable MountTable::Parse(std::string_view mountinfo) {
  MountTable table;
  while (!mountinfo.empty()) {
    const std::size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
    if (auto entry = ParseLine(mountinfo.substr(0, end))) {
      table.entries_.push_back(*std::move(entry));
    }
    mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
  }
  return table;
}

Result<MountTable> MountTable::Read() {
  constexpr const char* kPath = "/proc/self/mountinfo";
  const Fd file(::open(kPath, O_RDONLY | O_CLOEXEC));
  if (!file) return FailErrno(errno, "open /proc/self/mountinfo");
  std::string text;
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "read /proc/self/mountinfo");
    if (n == 0) return Parse(text);
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

std::optional<MountEntry> MountTable::Find(std::string_view mountpoint) const {
  std::optional<MountEntry> top;
  for (const MountEntry& entry : entries_) {
    if (entry.mountpoint != mountpoint) continue;
    const bool covered = std::ranges::any_of(entries_, [&](const MountEntry& other) {
      return other.parent == entry.id && other.mountpoint == mountpoint && other.id != entry.id;
    });
    if (!covered || !top) top = entry;
  }
  return top;
}

std::optional<MountEntry> MountTable::FindMinor(unsigned device_minor) const {
  const auto found = std::ranges::find_if(entries_, [&](const MountEntry& entry) {
    return entry.device_major == 0 && entry.device_minor == device_minor;
  });
  if (found == entries_.end()) return std::nullopt;
  return *found;
}

}  // namespace modelfs::fs
