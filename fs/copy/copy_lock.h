#pragma once

#include <optional>
#include <string>
#include <utility>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"

namespace modelfs::fs {

/// The right to copy one version into one place: at most one process has it, also where several
/// machines share the volume.
///
/// A lock of fcntl(2) (F_OFD_SETLK) on a file that stays: NFS passes it on to its server, and lets
/// go of it when the process ends, however that happens.
class CopyLock {
 public:
  /// Nullopt when another has it. The file is made where it is missing.
  /// Errors: kDenied (also a volume that may only be read), kNoSpace; kIo, also where the volume
  /// knows no locks; the text names the file.
  static Result<std::optional<CopyLock>> TryAcquire(const std::string& path);

  /// "process 12 on node-a": what the last who had it wrote; "" when that cannot be read.
  static std::string Holder(const std::string& path);

 private:
  explicit CopyLock(Fd file) : file_(std::move(file)) {}
  Fd file_;
};

}  // namespace modelfs::fs
