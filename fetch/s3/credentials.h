#pragma once

#include <optional>
#include <string>
#include <utility>

#include "fetch/base/error.h"

namespace modelfs::fetch {

/// Keys as they were at one moment; one signature uses one of these throughout.
struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  ///< Empty for long-lived keys.

  friend bool operator==(const Credentials&, const Credentials&) = default;
};

/// Says who we are.
///
/// Threads: all methods from any. A completion runs inside the call where good keys are at hand,
/// else on the thread that fetched new ones; exactly once, with no lock held; it must not wait.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;

  /// The keys to sign the next attempt with; nullopt: send it unsigned. `rejected`: keys that the
  /// server has just called expired or unknown; they are not given out again unless a new fetch
  /// brought them once more.
  /// Errors: kTransient (the provider is down), kDenied and others (it refuses, or answers
  /// nonsense), kCancelled. The text names the provider and never holds a secret.
  virtual void Get(const std::optional<Credentials>& rejected,
                   Done<std::optional<Credentials>> done) = 0;

  /// Who that is, stable while keys rotate, never secret: an access key id, a role's ARN,
  /// "anonymous".
  virtual std::string Principal() const = 0;

  /// Whether other keys may come when the server rejects these.
  virtual bool CanRefresh() const { return false; }

  /// What is being fetched ends soon with kCancelled; so does every later Get that would fetch.
  virtual void Stop() {}
};

/// Keys that do not change.
class StaticCredentials final : public CredentialsProvider {
 public:
  explicit StaticCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  void Get(const std::optional<Credentials>& /*rejected*/,
           Done<std::optional<Credentials>> done) override {
    done(credentials_);
  }
  std::string Principal() const override { return credentials_.access_key_id; }

 private:
  const Credentials credentials_;
};

/// For public buckets: no signature at all.
class AnonymousCredentials final : public CredentialsProvider {
 public:
  void Get(const std::optional<Credentials>& /*rejected*/,
           Done<std::optional<Credentials>> done) override {
    done(std::nullopt);
  }
  std::string Principal() const override { return "anonymous"; }
};

}  // namespace modelfs::fetch
