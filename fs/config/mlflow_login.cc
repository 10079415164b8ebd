#include "fs/config/mlflow_login.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <system_error>

#include "fetch/base/handle.h"
#include "fetch/base/percent.h"
#include "fetch/base/text.h"
#include "fs/config/login_files.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;

constexpr std::size_t kMaxFileBytes = 64 << 10;

/// As MLflow's client reads a truth value.
bool IsTrue(const std::optional<std::string>& text) {
  return text && (Lower(*text) == "true" || *text == "1");
}

/// The keys of section [mlflow]. A file that is not there is an empty one.
Result<std::map<std::string, std::string>> ReadCredentials(const stdfs::path& path) {
  std::map<std::string, std::string> keys;
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) return keys;
    return FailErrno(errno, fmt::format("read {}", path.string()));
  }
  std::string text(kMaxFileBytes + 1, '\0');
  const ssize_t got = ::read(fd.get(), text.data(), text.size());
  if (got < 0) return FailErrno(errno, fmt::format("read {}", path.string()));
  if (static_cast<std::size_t>(got) > kMaxFileBytes) {
    return Fail(Errc::kInvalid, fmt::format("{}: larger than 64 KiB", path.string()));
  }
  text.resize(static_cast<std::size_t>(got));
  bool ours = false;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = Trim(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
    if (line.starts_with('[')) {
      ours = line == "[mlflow]";
      continue;
    }
    const std::size_t mark = line.find_first_of("=:");
    if (mark == std::string_view::npos) {
      return Fail(Errc::kInvalid,
                  fmt::format("{}:{}: neither [section] nor key = value", path.string(), number));
    }
    if (ours) keys[Lower(Trim(line.substr(0, mark)))] = Trim(line.substr(mark + 1));
  }
  return keys;
}

Result<std::string> Readable(const std::string& path, std::string_view what) {
  std::error_code error;
  std::string absolute = stdfs::absolute(path, error).lexically_normal().string();
  if (::access(absolute.c_str(), R_OK) != 0) {
    return FailErrno(errno, fmt::format("read {} '{}'", what, absolute));
  }
  return absolute;
}

Result<void> FindTls(const SourceSettings& source, const Environment& env,
                     fetch::MlflowSettings& out) {
  const auto certificate = env.Get("MLFLOW_TRACKING_SERVER_CERT_PATH");
  out.insecure_tls = IsTrue(env.Get("MLFLOW_TRACKING_INSECURE_TLS"));
  if (out.insecure_tls && certificate) {
    return Fail(Errc::kInvalid,
                "MLFLOW_TRACKING_INSECURE_TLS and MLFLOW_TRACKING_SERVER_CERT_PATH contradict each "
                "other: set one of them");
  }
  std::string ca = source.ca_bundle.value_or(certificate.value_or(""));
  for (const char* const variable : {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}) {
    if (ca.empty()) ca = env.Get(variable).value_or("");
  }
  if (!ca.empty()) {
    auto readable = Readable(ca, "the CA bundle");
    if (!readable) return std::unexpected(std::move(readable.error()));
    out.ca_bundle = *std::move(readable);
  }
  if (const auto client = env.Get("MLFLOW_TRACKING_CLIENT_CERT_PATH")) {
    auto readable = Readable(*client, "the client certificate");
    if (!readable) return std::unexpected(std::move(readable.error()));
    out.client_certificate = *std::move(readable);
  }
  return {};
}

}  // namespace

Result<std::optional<TrackingUri>> TrackingUriOf(const Environment& env) {
  const auto variable = env.Get("MLFLOW_TRACKING_URI");
  if (!variable) return std::nullopt;
  std::string_view text = Trim(*variable);
  while (text.ends_with('/')) text.remove_suffix(1);
  const std::size_t scheme = text.find("://");
  const bool http = text.starts_with("http://") || text.starts_with("https://");
  if (!http) {
    return Fail(Errc::kInvalid,
                fmt::format("MLFLOW_TRACKING_URI is '{}': modelfs needs a server, write "
                            "http(s)://HOST[:PORT]",
                            Printable(text.substr(0, text.rfind('@')), 64)));
  }
  TrackingUri out;
  const std::size_t begin = scheme + 3;
  const std::size_t end = std::min(text.find('/', begin), text.size());
  std::string_view authority = text.substr(begin, end - begin);
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = authority.substr(0, at);
    const std::size_t colon = std::min(login.find(':'), login.size());
    out.username = PercentDecode(login.substr(0, colon), Plus::kPlus);
    out.password = PercentDecode(login.substr(std::min(colon + 1, login.size())), Plus::kPlus);
    authority.remove_prefix(at + 1);
  }
  out.address = fmt::format("{}{}{}", text.substr(0, begin), authority, text.substr(end));
  return out;
}

Result<fetch::MlflowSettings> ResolveMlflow(std::string_view address, const SourceSettings& source,
                                            const Environment& env) {
  for (const char* const variable : {"MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_AUTH"}) {
    const auto value = env.Get(variable);
    if (value && Lower(*value) != "false" && *value != "0") {
      return Fail(Errc::kDenied,
                  fmt::format("{} is set: this kind of login is not supported; use a user name and "
                              "password or a token",
                              variable));
    }
  }
  fetch::MlflowSettings out;
  out.tracking_uri = address;
  auto kept = ReadCredentials(env.home() / ".mlflow" / "credentials");
  if (!kept) return std::unexpected(std::move(kept.error()));
  out.username = env.Get("MLFLOW_TRACKING_USERNAME").value_or((*kept)["mlflow_tracking_username"]);
  out.password = env.Get("MLFLOW_TRACKING_PASSWORD").value_or((*kept)["mlflow_tracking_password"]);
  out.token = env.Get("MLFLOW_TRACKING_TOKEN").value_or("");
  out.workspace = env.Get("MLFLOW_WORKSPACE").value_or("");
  auto tracking = TrackingUriOf(env);
  const auto meant = tracking ? *std::move(tracking) : std::nullopt;
  if (meant && meant->address == address) {
    // Which server is meant is the user's own word, so that a login in it is meant for it.
    if (out.username.empty()) out.username = meant->username;
    if (out.password.empty()) out.password = meant->password;
    out.registry_uri = env.Get("MLFLOW_REGISTRY_URI").value_or("");
    while (out.registry_uri.ends_with('/')) out.registry_uri.pop_back();
  }
  auto files = FindLoginFiles(source);
  if (!files) return std::unexpected(std::move(files.error()));
  out.auth_file = std::move(files->auth_file);
  out.token_file = std::move(files->token_file);
  if (auto tls = FindTls(source, env, out); !tls) return std::unexpected(std::move(tls.error()));
  return out;
}

}  // namespace modelfs::fs
