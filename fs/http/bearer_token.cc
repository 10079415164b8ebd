#include "fs/http/bearer_token.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <strings.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "fetch/base/handle.h"
#include "fetch/base/sha256.h"

namespace modelfs::fs {
namespace {

constexpr std::size_t kMaxTokenBytes = 4096;
constexpr std::string_view kSpace = " \t\r\n";

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

Result<std::string> ReadToken(const std::string& file) {
  // A pipe must not hold up whoever asks.
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return FailErrno(errno, fmt::format("read http_token_file '{}'", file));
  std::array<char, kMaxTokenBytes + 1> buffer;
  const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
  if (got < 0) return FailErrno(errno, fmt::format("read http_token_file '{}'", file));
  const std::string_view token = Trimmed({buffer.data(), static_cast<std::size_t>(got)});
  if (token.empty() || static_cast<std::size_t>(got) > kMaxTokenBytes) {
    return Fail(Errc::kInvalid,
                fmt::format("http_token_file '{}' {}", file,
                            token.empty() ? "holds no token" : "is over 4 KiB: no token"));
  }
  return std::string(token);
}

bool CarriesToken(const std::optional<std::string>& authorization, std::string_view token) {
  constexpr std::string_view kScheme = "bearer ";
  if (!authorization || authorization->size() < kScheme.size() ||
      ::strncasecmp(authorization->c_str(), kScheme.data(), kScheme.size()) != 0) {
    return false;
  }
  // Of their hashes, so that not even the length shows.
  const Sha256Digest given =
      Sha256(Trimmed(std::string_view(*authorization).substr(kScheme.size())));
  const Sha256Digest wanted = Sha256(token);
  return CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
}

}  // namespace modelfs::fs
