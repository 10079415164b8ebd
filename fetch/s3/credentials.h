#pragma once

#include <optional>
#include <string>
#include <utility>

namespace modelfs::fetch {

/// Keys as they were at one moment; one signature uses one of these throughout.
struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  ///< Empty for long-lived keys.
};

/// Says who we are. Threads: any; never waits.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  /// The keys to sign the next attempt with; nullopt: send it unsigned.
  virtual std::optional<Credentials> Snapshot() const = 0;
  /// Who that is, stable while keys rotate, never secret: an access key id or "anonymous".
  virtual std::string Principal() const = 0;
};

/// Keys that do not change.
class StaticCredentials final : public CredentialsProvider {
 public:
  explicit StaticCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  std::optional<Credentials> Snapshot() const override { return credentials_; }
  std::string Principal() const override { return credentials_.access_key_id; }

 private:
  const Credentials credentials_;
};

/// For public buckets: no signature at all.
class AnonymousCredentials final : public CredentialsProvider {
 public:
  std::optional<Credentials> Snapshot() const override { return std::nullopt; }
  std::string Principal() const override { return "anonymous"; }
};

}  // namespace modelfs::fetch
