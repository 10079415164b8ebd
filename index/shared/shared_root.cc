#include "index/shared/shared_root.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "index/shared/segment_layout.h"

namespace modelfs::index::shared {
namespace {

constexpr std::size_t kMostFormat = 512;

std::string FormatText(std::uint64_t segment_bytes) {
  return fmt::format("modelfs-shared {}\nsegment_size {}\n", SharedRoot::kFormat, segment_bytes);
}

std::optional<std::uint64_t> After(std::string_view text, std::string_view word) {
  const std::size_t at = text.find(word);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + word.size());
  std::uint64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) {
    return std::nullopt;
  }
  return value;
}

Result<std::uint64_t> ReadFormat(SharedFiles& files) {
  auto file = files.OpenToRead("FORMAT");
  if (!file) return std::unexpected(std::move(file.error()));
  std::string text(kMostFormat, '\0');
  auto n = (*file)->Read(0, std::as_writable_bytes(std::span(text)));
  if (!n) return std::unexpected(std::move(n.error()));
  text.resize(*n);
  const auto version = After(text, "modelfs-shared ");
  const auto size = After(text, "segment_size ");
  if (version != SharedRoot::kFormat || !size || !std::has_single_bit(*size) || *size < 4096 ||
      *size > (std::uint64_t{1} << 32)) {
    return Fail(
        Errc::kInvalid,
        fmt::format("{}: FORMAT is \"{}\", this version wants \"modelfs-shared {}\"; give "
                    "it a directory of its own",
                    files.Describe(), text.substr(0, text.find('\n')), SharedRoot::kFormat));
  }
  return *size;
}

/// FORMAT appears whole, like everything else.
Result<void> WriteFormat(SharedFiles& files, std::uint64_t segment_bytes, const std::string& name) {
  auto file = files.Create(name);
  if (!file) return std::unexpected(std::move(file.error()));
  if (!*file) return Fail(Errc::kIo, fmt::format("create {}: is there", name));
  const std::string text = FormatText(segment_bytes);
  auto written = (*file)->Write(0, std::as_bytes(std::span(text)));
  if (written) written = (*file)->SyncAndClose();
  if (!written) return written;
  auto placed = files.Link(name, "FORMAT");
  if (!placed && placed.error().code == Errc::kInvalid) placed = files.RenameNew(name, "FORMAT");
  if (!placed) {
    if (auto renamed = files.Rename(name, "FORMAT"); !renamed) return renamed;
  }
  return files.Unlink(name);
}

std::int64_t MillisNow() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Result<void> Try(SharedFiles& files, const std::string& probe, SharedRoot::Found& found) {
  const std::string other = probe + ".2";
  auto touched = files.Touch(probe);
  if (!touched) return std::unexpected(std::move(touched.error()));
  found.skew_ms = *touched / 1'000'000 - MillisNow();
  auto again = files.Create(probe);
  found.exclusive = again && !*again;
  auto linked = files.Link(probe, other);
  found.links = linked && *linked == Placed::kPlaced;
  if (found.links) std::ignore = files.Unlink(other);
  auto renamed = files.RenameNew(probe, other);
  found.renames = renamed && *renamed == Placed::kPlaced;
  std::ignore = files.Unlink(found.renames ? other : probe);
  found.writable = true;
  return {};
}

}  // namespace

Result<SharedRoot::Found> SharedRoot::Look(SharedFiles& files, std::uint64_t segment_bytes,
                                           const std::string& probe) {
  Found found;
  auto made = files.MakeFolder("");
  if (made) made = files.MakeFolder("t");
  if (made) made = Try(files, "t/" + probe, found);
  if (!made) found.why = made.error().what;
  auto format = ReadFormat(files);
  if (!format && format.error().code == Errc::kNotFound && found.writable) {
    auto written = WriteFormat(files, segment_bytes, "t/" + probe + ".format");
    format = ReadFormat(files);
    if (!written && !format) return std::unexpected(std::move(written.error()));
  }
  if (!format) {
    const bool foreign = format.error().code == Errc::kInvalid;
    return std::unexpected(std::move(made || foreign ? format.error() : made.error()));
  }
  found.segment_bytes = *format;
  found.filesystem = files.Kind();
  if (const auto space = files.Space()) found.free_bytes = space->free_bytes;
  return found;
}

}  // namespace modelfs::index::shared
