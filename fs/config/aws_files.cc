#include "fs/config/aws_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "fetch/base/handle.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;

constexpr std::size_t kMaxFileBytes = 1u << 20;

/// The variable, else a file of ~/.aws. "~/" is the home in both, as in AWS's clients.
stdfs::path FilePath(const char* variable, const char* name, const Environment& env) {
  const auto set = env.Get(variable);
  if (!set) return env.home().empty() ? stdfs::path() : env.home() / ".aws" / name;
  if (set->starts_with("~/")) return env.home() / set->substr(2);
  return *set;
}

Result<std::string> ReadIfThere(const stdfs::path& path) {
  if (path.empty()) return std::string();
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) return std::string();
    return FailErrno(errno, fmt::format("read '{}'", path.string()));
  }
  std::string text;
  std::array<char, 16384> buffer{};
  while (text.size() <= kMaxFileBytes) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0) return FailErrno(errno, fmt::format("read '{}'", path.string()));
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return Fail(Errc::kInvalid, fmt::format("'{}' is over 1 MiB: no file of AWS's", path.string()));
}

}  // namespace

std::string AwsFiles::Get(const std::string& key) const {
  const auto found = merged.values.find(key);
  return found == merged.values.end() ? std::string() : found->second;
}

std::string AwsFiles::Describe(const stdfs::path& path) const {
  return fmt::format("profile '{}' of {}", profile, path.string());
}

Result<AwsFiles> ReadAwsFiles(const std::string& wanted, const Environment& env) {
  AwsFiles files;
  files.profile = wanted;
  if (files.profile.empty()) files.profile = env.Get("AWS_PROFILE").value_or("");
  if (files.profile.empty()) files.profile = env.Get("AWS_DEFAULT_PROFILE").value_or("");
  files.named = !files.profile.empty();
  if (!files.named) files.profile = "default";
  files.credentials_path = FilePath("AWS_SHARED_CREDENTIALS_FILE", "credentials", env);
  files.config_path = FilePath("AWS_CONFIG_FILE", "config", env);

  const auto credentials = ReadIfThere(files.credentials_path);
  if (!credentials) return std::unexpected(credentials.error());
  const auto config = ReadIfThere(files.config_path);
  if (!config) return std::unexpected(config.error());
  const auto parse = [&](const std::string& credentials_text, const std::string& config_text,
                         const stdfs::path& path, fetch::AwsProfile& out) -> Result<void> {
    auto parsed = fetch::ParseAwsProfile(credentials_text, config_text, files.profile);
    if (!parsed) {
      return Fail(parsed.error().code, fmt::format("'{}': {}", path.string(), parsed.error().what));
    }
    out = *std::move(parsed);
    return {};
  };
  if (auto ok = parse(*credentials, "", files.credentials_path, files.credentials); !ok) {
    return std::unexpected(ok.error());
  }
  if (auto ok = parse("", *config, files.config_path, files.config); !ok) {
    return std::unexpected(ok.error());
  }
  if (auto ok = parse(*credentials, *config, files.config_path, files.merged); !ok) {
    return std::unexpected(ok.error());
  }
  if (files.named && !files.merged.found) {
    return Fail(Errc::kDenied,
                fmt::format("there is no profile '{}' in {} or {}", files.profile,
                            files.credentials_path.string(), files.config_path.string()));
  }
  return files;
}

}  // namespace modelfs::fs
