#include "fs/copy/copy_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace modelfs::fs {
namespace {

constexpr const char* kName = "journal";

/// The next word of `line` as a number; nullopt when it is none.
std::optional<std::uint64_t> TakeNumber(std::string_view& line, int base = 10) {
  const std::string_view word = line.substr(0, line.find(' '));
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value, base);
  if (word.empty() || error != std::errc() || stop != word.data() + word.size()) {
    return std::nullopt;
  }
  line.remove_prefix(std::min(word.size() + 1, line.size()));
  return value;
}

std::optional<WrittenPiece> ParsePiece(std::string_view line) {
  const auto file = TakeNumber(line);
  const auto begin = TakeNumber(line);
  const auto end = TakeNumber(line);
  const auto xxh3 = TakeNumber(line, 16);
  if (!file || !begin || !end || !xxh3 || !line.empty()) return std::nullopt;
  if (*file > UINT32_MAX || *begin >= *end) return std::nullopt;
  return WrittenPiece{
      .file = static_cast<std::uint32_t>(*file), .range = {*begin, *end}, .xxh3 = *xxh3};
}

Result<std::string> ReadAll(int fd) {
  std::string text;
  std::string buffer(64u << 10, '\0');
  for (;;) {
    const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "read the journal of the copy");
    if (n == 0) return text;
    text.append(buffer, 0, static_cast<std::size_t>(n));
  }
}

}  // namespace

Result<CopyJournal> CopyJournal::Open(int directory, std::string identity) {
  Fd file(::openat(directory, kName, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file) return FailErrno(errno, "open the journal of the copy");
  CopyJournal journal(std::move(file), std::move(identity));
  if (auto loaded = journal.Load(); !loaded) return std::unexpected(std::move(loaded.error()));
  return journal;
}

std::string CopyJournal::Header() const { return fmt::format("modelfs-copy 1 {}\n", identity_); }

Result<void> CopyJournal::Load() {
  const auto text = ReadAll(file_.get());
  if (!text) return std::unexpected(text.error());
  const std::string header = Header();
  if (!text->starts_with(header)) return {};
  of_this_copy_ = true;
  std::map<std::pair<std::uint32_t, std::uint64_t>, WrittenPiece> pieces;
  std::string_view rest = std::string_view(*text).substr(header.size());
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    if (const auto piece = ParsePiece(rest.substr(0, end))) {
      pieces.insert_or_assign({piece->file, piece->range.begin}, *piece);
    }
    rest.remove_prefix(end + 1);
  }
  pieces_.reserve(pieces.size());
  for (const auto& [key, piece] : pieces) pieces_.push_back(piece);
  // What follows must begin on a line of its own.
  if (!rest.empty() &&
      ::ftruncate(file_.get(), static_cast<off_t>(text->size() - rest.size())) != 0) {
    return FailErrno(errno, "mend the journal of the copy");
  }
  return {};
}

Result<void> CopyJournal::Begin() {
  pieces_.clear();
  if (::ftruncate(file_.get(), 0) != 0) return FailErrno(errno, "empty the journal of the copy");
  if (auto written = Write(Header()); !written) return written;
  of_this_copy_ = true;
  return {};
}

Result<void> CopyJournal::Append(const WrittenPiece& piece) const {
  return Write(
      fmt::format("{} {} {} {:x}\n", piece.file, piece.range.begin, piece.range.end, piece.xxh3));
}

Result<void> CopyJournal::Write(const std::string& text) const {
  // One call per line, so that lines of several threads do not mix.
  const ssize_t n = ::write(file_.get(), text.data(), text.size());
  if (n < 0) return FailErrno(errno, "write the journal of the copy");
  if (n != static_cast<ssize_t>(text.size())) {
    return FailErrno(ENOSPC, "write the journal of the copy");
  }
  return {};
}

}  // namespace modelfs::fs
