#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "fetch/base/error.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {

/// A real S3 server in a process of its own, on a free port of loopback, with data in a temporary
/// folder; it ends with this object.
class S3Server {
 public:
  /// versitygw, posix backend: verifies signatures. Found by $VERSITYGW, in deps.sh's tools
  /// folder, on PATH, or where `go install` puts it. Answers when this returns.
  /// Errors: kNotFound (not installed; the text says how to install it), kTimeout, kIo.
  static Result<std::unique_ptr<S3Server>> StartVersitygw();
  /// moto_server, which lets everybody in, whatever the signature. Found in $MODELFS_VENV/bin, in
  /// deps.sh's tools folder, or on PATH. Same errors.
  static Result<std::unique_ptr<S3Server>> StartMoto();

  std::string Url() const;
  const std::string& access_key() const { return access_key_; }
  const std::string& secret_key() const { return secret_key_; }
  std::string Output() const { return process_->Output(); }

 private:
  S3Server() = default;

  TempDir data_;
  std::uint16_t port_ = 0;
  std::string access_key_;
  std::string secret_key_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace modelfs::test
