#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <string>

#include "fs/csi/call_log.h"
#include "fs/csi/csi_error.h"

namespace modelfs::fs {

grpc::Status ToStatus(const CsiError& error);

/// For Answer.
void NoteCall(CallLog& log, const std::string& method, const grpc::Status& status,
              std::chrono::duration<double> time);

/// Runs the body of a method, and notes how it ended. Failures are logged; what was asked never is:
/// it holds secrets.
template <class Body>
grpc::Status Answer(CallLog& log, const std::string& method, Body body) {
  const auto begun = std::chrono::steady_clock::now();
  const CsiResult<void> result = body();
  const grpc::Status status = result ? grpc::Status::OK : ToStatus(result.error());
  NoteCall(log, method, status, std::chrono::steady_clock::now() - begun);
  return status;
}

}  // namespace modelfs::fs
