#include "tests/contract/origin_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <utility>

namespace modelfs::test {

namespace fs = std::filesystem;

Result<std::unique_ptr<OriginHost>> DirHost::Start() { return std::make_unique<DirHost>(); }

Result<void> DirHost::Put(const std::string& folder, const std::string& name, std::string bytes) {
  // A new file renamed into place, as a careful publisher does it.
  const fs::path fresh = root_.Write(folder + ".new", bytes);
  const fs::path file = root_.path() / folder / name;
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (!error) fs::rename(fresh, file, error);
  if (error) return FailErrno(error.value(), "put " + file.string());
  return {};
}

Result<void> DirHost::Remove(const std::string& folder, const std::string& name) {
  std::error_code error;
  fs::remove(root_.path() / folder / name, error);
  if (error) return FailErrno(error.value(), "remove " + name);
  return {};
}

Result<std::shared_ptr<fetch::Origin>> DirHost::Open(fetch::FetchContext& context,
                                                     const std::string& folder) {
  fs::create_directories(root_.path() / folder);
  return fetch::MakeOrigin(context, "dir:" + (root_.path() / folder).string(), {});
}

Result<std::unique_ptr<OriginHost>> FakeHost::Start() { return std::make_unique<FakeHost>(); }

std::shared_ptr<FakeOrigin> FakeHost::Of(const std::string& folder) {
  std::shared_ptr<FakeOrigin>& origin = origins_[folder];
  if (!origin) origin = std::make_shared<FakeOrigin>(folder);
  return origin;
}

Result<void> FakeHost::Put(const std::string& folder, const std::string& name, std::string bytes) {
  const auto content = std::as_bytes(std::span(bytes));
  Of(folder)->Put(name, {content.begin(), content.end()});
  return {};
}

Result<void> FakeHost::Remove(const std::string& folder, const std::string& name) {
  Of(folder)->Remove(name);
  return {};
}

Result<std::shared_ptr<fetch::Origin>> FakeHost::Open(fetch::FetchContext&,
                                                      const std::string& folder) {
  return Of(folder);
}

Result<void> S3Host::Use(const std::string& url, const std::string& access_key,
                         const std::string& secret_key) {
  settings_.s3_endpoint = url;
  settings_.access_key_id = access_key;
  settings_.secret_access_key = secret_key;
  client_ = std::make_unique<S3Client>(S3Client::Options{
      .url = url,
      .credentials = {
          .access_key_id = access_key, .secret_access_key = secret_key, .session_token = {}}});
  return client_->MakeBucket(kBucket);
}

Result<void> S3Host::Put(const std::string& folder, const std::string& name, std::string bytes) {
  return client_->Put(kBucket, folder + '/' + name, std::move(bytes));
}

Result<void> S3Host::Remove(const std::string& folder, const std::string& name) {
  return client_->Remove(kBucket, folder + '/' + name);
}

Result<std::shared_ptr<fetch::Origin>> S3Host::Open(fetch::FetchContext& context,
                                                    const std::string& folder) {
  return fetch::MakeOrigin(context, fmt::format("s3://{}/{}", kBucket, folder), settings_);
}

Result<void> EmbeddedHost::StartOrigin(EmbeddedOrigin::Options options) {
  options.root = root_.path();
  options.access_key = "embedded-key";
  options.secret_key = "embedded/secret+";
  auto origin = EmbeddedOrigin::Start(options);
  if (!origin) return std::unexpected(origin.error());
  origin_ = *std::move(origin);
  return Use(origin_->Url(), options.access_key, options.secret_key);
}

Result<std::unique_ptr<OriginHost>> EmbeddedHost::Start() {
  auto host = std::make_unique<EmbeddedHost>();
  if (auto started = host->StartOrigin({}); !started) return std::unexpected(started.error());
  return host;
}

Result<std::unique_ptr<OriginHost>> EmbeddedPercentHost::Start() {
  auto host = std::make_unique<EmbeddedPercentHost>();
  const auto started = host->StartOrigin({.plus_for_space = false, .page_items = 7});
  if (!started) return std::unexpected(started.error());
  return host;
}

Result<void> ServerHost::Adopt(Result<std::unique_ptr<S3Server>> server) {
  if (!server) return std::unexpected(server.error());
  server_ = *std::move(server);
  return Use(server_->Url(), server_->access_key(), server_->secret_key());
}

Result<std::unique_ptr<OriginHost>> VersitygwHost::Start() {
  auto host = std::make_unique<VersitygwHost>();
  if (auto used = host->Adopt(S3Server::StartVersitygw()); !used) {
    return std::unexpected(used.error());
  }
  return host;
}

Result<std::unique_ptr<OriginHost>> MotoHost::Start() {
  auto host = std::make_unique<MotoHost>();
  if (auto used = host->Adopt(S3Server::StartMoto()); !used) {
    return std::unexpected(used.error());
  }
  return host;
}

Result<void> WebHost::Adopt(Result<std::unique_ptr<WebServer>> server) {
  if (!server) return std::unexpected(server.error());
  server_ = *std::move(server);
  return {};
}

Result<void> WebHost::Put(const std::string& folder, const std::string& name, std::string bytes) {
  const fs::path fresh = root_.Write(".fresh", bytes);
  const fs::path file = root_.path() / folder / name;
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  const fs::file_time_type now = fs::file_time_type::clock::now();
  const fs::file_time_type before = fs::last_write_time(file, error);
  fs::last_write_time(
      fresh, error ? now - std::chrono::seconds(60) : before + std::chrono::seconds(1), error);
  if (!error) fs::rename(fresh, file, error);
  if (error) return FailErrno(error.value(), fmt::format("put {}", file.string()));
  return {};
}

Result<void> WebHost::Remove(const std::string& folder, const std::string& name) {
  std::error_code error;
  fs::remove(root_.path() / folder / name, error);
  if (error) return FailErrno(error.value(), fmt::format("remove {}", name));
  return {};
}

Result<std::shared_ptr<fetch::Origin>> WebHost::Open(fetch::FetchContext& context,
                                                     const std::string& folder) {
  fs::create_directories(root_.path() / folder);
  return fetch::MakeOrigin(context, fmt::format("{}/{}", Url(), folder), {});
}

namespace {

Result<std::unique_ptr<OriginHost>> Started(std::unique_ptr<OriginHost> host,
                                            const Result<void>& adopted) {
  if (!adopted) return std::unexpected(adopted.error());
  return host;
}

}  // namespace

Result<std::unique_ptr<OriginHost>> NginxHost::Start() {
  auto host = std::make_unique<NginxHost>();
  const auto adopted = host->Adopt(WebServer::StartNginx({.root = host->root()}));
  return Started(std::move(host), adopted);
}

Result<std::unique_ptr<OriginHost>> NginxJsonHost::Start() {
  auto host = std::make_unique<NginxJsonHost>();
  const auto adopted = host->Adopt(WebServer::StartNginx({.root = host->root(), .json = true}));
  return Started(std::move(host), adopted);
}

Result<std::unique_ptr<OriginHost>> PythonHost::Start() {
  auto host = std::make_unique<PythonHost>();
  const auto adopted = host->Adopt(WebServer::StartPython(host->root()));
  return Started(std::move(host), adopted);
}

}  // namespace modelfs::test
