#include "fetch/http/http_auth.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "fetch/base/base64.h"
#include "fetch/base/percent.h"
#include "fetch/base/small_file.h"
#include "fetch/base/text.h"

namespace modelfs::fetch {
namespace {

constexpr std::size_t kMaxBytes = 64u << 10;

}  // namespace

Result<std::string> HttpAuth::Read() const {
  const auto text = ReadSmallFile(file(), kMaxBytes);
  if (!text) return Fail(Errc::kDenied, text.error().what);
  std::string_view word = *text;
  while (word.ends_with('\n') || word.ends_with('\r')) word.remove_suffix(1);
  const bool control =
      std::ranges::any_of(word, [](unsigned char c) { return c < ' ' || c == 0x7f; });
  const auto bad = [this](std::string_view what) {
    return Fail(Errc::kDenied, fmt::format("'{}' holds no {}", file(), what));
  };
  if (!options_.basic_file.empty()) {
    if (control || !word.contains(':')) return bad("user:password on one line");
    return fmt::format("Basic {}", Base64Encode(word));
  }
  word = Trim(word);
  if (control || word.empty()) return bad("token on one line");
  return fmt::format("Bearer {}", word);
}

Result<std::string> HttpAuth::Header() {
  if (file().empty()) return std::string();
  struct stat st{};
  if (::stat(file().c_str(), &st) != 0) {
    return Fail(Errc::kDenied, FailErrno(errno, fmt::format("read '{}'", file())).error().what);
  }
  const Stamp stamp{st.st_mtim.tv_sec, st.st_mtim.tv_nsec, st.st_ino, st.st_size};
  MutexLock lock(mutex_);
  if (stamp != stamp_) {
    auto header = Read();
    if (!header) return header;
    header_ = *std::move(header);
    stamp_ = stamp;
  }
  return header_;
}

std::string HttpAuth::Principal() {
  if (file().empty()) return "anonymous";
  if (options_.basic_file.empty()) return fmt::format("bearer:{}", options_.bearer_file);
  const auto text = ReadSmallFile(file(), kMaxBytes);
  const std::string user = text ? text->substr(0, text->find_first_of(":\r\n")) : "";
  return fmt::format("basic:{}", Printable(user));
}

}  // namespace modelfs::fetch
