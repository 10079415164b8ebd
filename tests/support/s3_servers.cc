#include "tests/support/s3_servers.h"

#include <fmt/format.h>
#include <sys/xattr.h>

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

std::string Below(const std::string& folder, const char* rest) {
  return folder.empty() ? "" : folder + rest;
}

std::string ToolsFolder() {
  if (std::string tools = Variable("MODELFS_TOOLS"); !tools.empty()) return tools;
  std::string cache = Variable("XDG_CACHE_HOME");
  if (cache.empty()) cache = Below(Variable("HOME"), "/.cache");
  return Below(cache, "/modelfs-tools");
}

bool HasUserXattrs(const fs::path& folder) {
  return ::setxattr(folder.c_str(), "user.modelfs.probe", "1", 1, 0) == 0;
}

}  // namespace

std::string S3Server::Url() const { return fmt::format("http://127.0.0.1:{}", port_); }

Result<std::unique_ptr<S3Server>> S3Server::StartVersitygw() {
  const std::string program = FindProgram(
      "versitygw", "VERSITYGW", {Below(ToolsFolder(), "/bin"), Below(Variable("HOME"), "/go/bin")});
  if (program.empty()) {
    return Fail(Errc::kNotFound,
                "versitygw is not installed: deploy/deps.sh test, or set VERSITYGW");
  }
  Result<void> answered;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::unique_ptr<S3Server> server(new S3Server);
    server->access_key_ = "modelfs-test-key";
    server->secret_key_ = "modelfs/test+secret=";
    server->port_ = FreePort();
    const fs::path data = server->data_.path() / "data", sidecar = server->data_.path() / "sidecar";
    fs::create_directories(data);
    std::vector<std::string> arguments = {
        program, "--port", fmt::format("127.0.0.1:{}", server->port_), "--keep-alive", "posix"};
    if (!HasUserXattrs(data)) {
      fs::create_directories(sidecar);
      arguments.insert(arguments.end(), {"--sidecar", sidecar.string()});
    }
    arguments.push_back(data.string());
    auto process = ChildProcess::Start({.arguments = std::move(arguments),
                                        .environment = {{"ROOT_ACCESS_KEY", server->access_key_},
                                                        {"ROOT_SECRET_KEY", server->secret_key_}}});
    if (!process) return std::unexpected(process.error());
    server->process_ = *std::move(process);
    const auto line = server->process_->WaitForLine("service listening on", kStartLimit);
    answered = line ? Result<void>() : std::unexpected(line.error());
    if (answered) answered = WaitForHttp(*server->process_, server->port_, "/", kStartLimit);
    if (answered) return server;
  }
  return std::unexpected(answered.error());
}

Result<std::unique_ptr<S3Server>> S3Server::StartMoto() {
  const std::string program =
      FindProgram("moto_server", "MOTO_SERVER",
                  {Below(Variable("MODELFS_VENV"), "/bin"), Below(ToolsFolder(), "/venv/bin")});
  if (program.empty()) {
    return Fail(Errc::kNotFound, "moto_server is not installed: deploy/deps.sh test");
  }
  Result<void> answered;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::unique_ptr<S3Server> server(new S3Server);
    server->access_key_ = "moto-test-key";
    server->secret_key_ = "moto-test-secret";
    server->port_ = FreePort();
    auto process = ChildProcess::Start(
        {.arguments = {program, "-H", "127.0.0.1", "-p", fmt::to_string(server->port_)}});
    if (!process) return std::unexpected(process.error());
    server->process_ = *std::move(process);
    answered = WaitForHttp(*server->process_, server->port_, "/moto-api/", kStartLimit);
    if (answered && !server->process_->WaitForExit(std::chrono::milliseconds(0))) return server;
  }
  return std::unexpected(answered ? Error{Errc::kIo, "moto_server ended at once"}
                                  : answered.error());
}

}  // namespace modelfs::test
