#include "fs/csi/rpc_status.h"

#include <spdlog/spdlog.h>

namespace modelfs::fs {
namespace {

/// As the specification writes it.
std::string StatusName(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK: return "OK";
    case grpc::StatusCode::INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case grpc::StatusCode::NOT_FOUND: return "NOT_FOUND";
    case grpc::StatusCode::ALREADY_EXISTS: return "ALREADY_EXISTS";
    case grpc::StatusCode::FAILED_PRECONDITION: return "FAILED_PRECONDITION";
    case grpc::StatusCode::ABORTED: return "ABORTED";
    case grpc::StatusCode::UNAUTHENTICATED: return "UNAUTHENTICATED";
    case grpc::StatusCode::PERMISSION_DENIED: return "PERMISSION_DENIED";
    case grpc::StatusCode::UNAVAILABLE: return "UNAVAILABLE";
    default: return "INTERNAL";
  }
}

}  // namespace

grpc::Status ToStatus(const CsiError& error) {
  const auto code = [&] {
    switch (error.code) {
      case CsiCode::kInvalidArgument: return grpc::StatusCode::INVALID_ARGUMENT;
      case CsiCode::kNotFound: return grpc::StatusCode::NOT_FOUND;
      case CsiCode::kAlreadyExists: return grpc::StatusCode::ALREADY_EXISTS;
      case CsiCode::kFailedPrecondition: return grpc::StatusCode::FAILED_PRECONDITION;
      case CsiCode::kAborted: return grpc::StatusCode::ABORTED;
      case CsiCode::kUnauthenticated: return grpc::StatusCode::UNAUTHENTICATED;
      case CsiCode::kPermissionDenied: return grpc::StatusCode::PERMISSION_DENIED;
      case CsiCode::kUnavailable: return grpc::StatusCode::UNAVAILABLE;
      case CsiCode::kInternal: break;
    }
    return grpc::StatusCode::INTERNAL;
  }();
  return {code, error.what};
}

void NoteCall(CallLog& log, const std::string& method, const grpc::Status& status,
              std::chrono::duration<double> time) {
  const std::string name = StatusName(status.error_code());
  log.Ended(method, name, time);
  if (status.ok()) return;
  spdlog::warn("csi.call_failed method={} status={} error=\"{}\"", method, name,
               status.error_message());
}

}  // namespace modelfs::fs
