#pragma once

#include <map>
#include <memory>
#include <string>

#include "fetch/fetch_context.h"
#include "fetch/origin.h"
#include "fetch/origin_factory.h"
#include "tests/support/embedded_origin.h"
#include "tests/support/fake_origin.h"
#include "tests/support/s3_client.h"
#include "tests/support/s3_servers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/web_servers.h"

namespace modelfs::test {

/// Somewhere that an Origin can be opened on, and that a test can fill. One for all tests of a
/// suite; each test works below a folder of its own.
class OriginHost {
 public:
  /// Files whose name begins with a dot are in no listing.
  static constexpr bool kHidesDotFiles = false;
  virtual ~OriginHost() = default;
  virtual Result<void> Put(const std::string& folder, const std::string& name,
                           std::string bytes) = 0;
  virtual Result<void> Remove(const std::string& folder, const std::string& name) = 0;
  /// An origin whose root is `folder`. `context` outlives it.
  virtual Result<std::shared_ptr<fetch::Origin>> Open(fetch::FetchContext& context,
                                                      const std::string& folder) = 0;
};

/// A folder of the local disk, read by DirOrigin.
class DirHost final : public OriginHost {
 public:
  static Result<std::unique_ptr<OriginHost>> Start();
  Result<void> Put(const std::string& folder, const std::string& name, std::string bytes) override;
  Result<void> Remove(const std::string& folder, const std::string& name) override;
  Result<std::shared_ptr<fetch::Origin>> Open(fetch::FetchContext& context,
                                              const std::string& folder) override;

 private:
  TempDir root_;
};

/// The double that unit tests use.
class FakeHost final : public OriginHost {
 public:
  static Result<std::unique_ptr<OriginHost>> Start();
  Result<void> Put(const std::string& folder, const std::string& name, std::string bytes) override;
  Result<void> Remove(const std::string& folder, const std::string& name) override;
  Result<std::shared_ptr<fetch::Origin>> Open(fetch::FetchContext& context,
                                              const std::string& folder) override;

 private:
  std::shared_ptr<FakeOrigin> Of(const std::string& folder);

  std::map<std::string, std::shared_ptr<FakeOrigin>> origins_;
};

/// A bucket of some S3 server, read by S3Origin and filled by requests.
class S3Host : public OriginHost {
 public:
  static constexpr const char* kBucket = "models";

  Result<void> Put(const std::string& folder, const std::string& name, std::string bytes) override;
  Result<void> Remove(const std::string& folder, const std::string& name) override;
  Result<std::shared_ptr<fetch::Origin>> Open(fetch::FetchContext& context,
                                              const std::string& folder) override;

  /// For this server, with the keys that it takes.
  const fetch::OriginSettings& settings() const { return settings_; }
  /// For requests that Put has no words for.
  const S3Client& client() const { return *client_; }

 protected:
  /// Makes the bucket.
  Result<void> Use(const std::string& url, const std::string& access_key,
                   const std::string& secret_key);

 private:
  fetch::OriginSettings settings_;
  std::unique_ptr<S3Client> client_;
};

class EmbeddedHost : public S3Host {
 public:
  static Result<std::unique_ptr<OriginHost>> Start();
  EmbeddedOrigin& origin() { return *origin_; }

 protected:
  Result<void> StartOrigin(EmbeddedOrigin::Options options);

 private:
  TempDir root_;
  std::unique_ptr<EmbeddedOrigin> origin_;
};

/// As other servers than AWS write spaces in listings; and small pages.
class EmbeddedPercentHost final : public EmbeddedHost {
 public:
  static Result<std::unique_ptr<OriginHost>> Start();
};

/// A bucket of a server that is a process of its own.
class ServerHost : public S3Host {
 protected:
  /// Takes a server that was started, and makes the bucket on it.
  Result<void> Adopt(Result<std::unique_ptr<S3Server>> server);

 private:
  std::unique_ptr<S3Server> server_;
};

class VersitygwHost final : public ServerHost {
 public:
  static Result<std::unique_ptr<OriginHost>> Start();
};

class MotoHost final : public ServerHost {
 public:
  /// Errors: kNotFound when moto is not installed.
  static Result<std::unique_ptr<OriginHost>> Start();
};

/// A folder of the local disk, served by a web server and read by HttpDirOrigin.
class WebHost : public OriginHost {
 public:
  /// A file that replaces another is a second younger: servers tell no less.
  Result<void> Put(const std::string& folder, const std::string& name, std::string bytes) override;
  Result<void> Remove(const std::string& folder, const std::string& name) override;
  Result<std::shared_ptr<fetch::Origin>> Open(fetch::FetchContext& context,
                                              const std::string& folder) override;
  std::string Url() const { return server_->Url(); }

 protected:
  Result<void> Adopt(Result<std::unique_ptr<WebServer>> server);
  const std::filesystem::path& root() const { return root_.path(); }

 private:
  TempDir root_;
  std::unique_ptr<WebServer> server_;
};

/// Listings in HTML.
class NginxHost final : public WebHost {
 public:
  static constexpr bool kHidesDotFiles = true;
  static Result<std::unique_ptr<OriginHost>> Start();
};

/// Listings in JSON.
class NginxJsonHost final : public WebHost {
 public:
  static constexpr bool kHidesDotFiles = true;
  static Result<std::unique_ptr<OriginHost>> Start();
};

/// Neither ranges nor ETags.
class PythonHost final : public WebHost {
 public:
  static Result<std::unique_ptr<OriginHost>> Start();
};

}  // namespace modelfs::test
