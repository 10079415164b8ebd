#include "tests/support/web_servers.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace modelfs::test {
namespace {

namespace fs = std::filesystem;

constexpr auto kStartLimit = std::chrono::seconds(60);
constexpr int kAttempts = 3;  // Somebody may take the free port first.

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string Tools(const char* below) {
  std::string tools = Variable("MODELFS_TOOLS");
  if (tools.empty()) {
    std::string cache = Variable("XDG_CACHE_HOME");
    if (cache.empty()) cache = fmt::format("{}/.cache", Variable("HOME"));
    tools = fmt::format("{}/modelfs-tools", cache);
  }
  return fmt::format("{}/{}", tools, below);
}

std::string NginxConfiguration(const WebServer::NginxOptions& options, const fs::path& folder,
                               std::uint16_t port) {
  std::string text = "daemon off;\nworker_processes 1;\nerror_log stderr;\n";
  // Without it, workers of a root's nginx become somebody who cannot read the folder.
  if (::geteuid() == 0) text += "user root;\n";
  text +=
      fmt::format("pid {}/pid;\nevents {{ worker_connections 512; }}\nhttp {{\n", folder.string());
  text += "  access_log off;\n  types {}\n  default_type application/octet-stream;\n";
  for (const char* what : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    text += fmt::format("  {}_temp_path {}/{};\n", what, folder.string(), what);
  }
  if (!options.user.empty()) {
    text +=
        fmt::format("  auth_basic models;\n  auth_basic_user_file {}/users;\n", folder.string());
  }
  text += fmt::format(
      "  server {{\n    listen 127.0.0.1:{};\n    location / {{\n      root {};\n"
      "      autoindex {};\n      autoindex_format {};\n    }}\n  }}\n}}\n",
      port, options.root.string(), options.listings ? "on" : "off", options.json ? "json" : "html");
  return text;
}

}  // namespace

std::string WebServer::Url() const { return fmt::format("http://127.0.0.1:{}", port_); }

Result<std::unique_ptr<WebServer>> WebServer::StartNginx(const NginxOptions& options) {
  const std::string program = FindProgram("nginx", "NGINX", {Tools("nginx/usr/sbin"), "/usr/sbin"});
  if (program.empty()) return Fail(Errc::kNotFound, "nginx is not installed: deploy/deps.sh test");
  Result<void> answered;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::unique_ptr<WebServer> server(new WebServer);
    server->port_ = FreePort();
    const fs::path folder = server->data_.path();
    const fs::path file =
        server->data_.Write("nginx.conf", NginxConfiguration(options, folder, server->port_));
    server->data_.Write("users", fmt::format("{}:{{PLAIN}}{}\n", options.user, options.password));
    auto process = ChildProcess::Start(
        {.arguments = {program, "-p", folder.string(), "-c", file.string(), "-e", "stderr"}});
    if (!process) return std::unexpected(process.error());
    server->process_ = *std::move(process);
    answered = WaitForHttp(*server->process_, server->port_, "/", kStartLimit);
    if (answered && !server->process_->WaitForExit(std::chrono::milliseconds(0))) return server;
  }
  return std::unexpected(answered ? Error{Errc::kIo, "nginx ended at once"} : answered.error());
}

Result<std::unique_ptr<WebServer>> WebServer::StartPython(const fs::path& root) {
  const std::string program = FindProgram("python3", "PYTHON", {Tools("venv/bin")});
  if (program.empty()) {
    return Fail(Errc::kNotFound, "python3 is not installed: deploy/deps.sh test");
  }
  Result<void> answered;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::unique_ptr<WebServer> server(new WebServer);
    server->port_ = FreePort();
    auto process = ChildProcess::Start(
        {.arguments = {program, "-m", "http.server", "--bind", "127.0.0.1", "--directory",
                       root.string(), fmt::to_string(server->port_)}});
    if (!process) return std::unexpected(process.error());
    server->process_ = *std::move(process);
    answered = WaitForHttp(*server->process_, server->port_, "/", kStartLimit);
    if (answered && !server->process_->WaitForExit(std::chrono::milliseconds(0))) return server;
  }
  return std::unexpected(answered ? Error{Errc::kIo, "http.server ended at once"}
                                  : answered.error());
}

}  // namespace modelfs::test
