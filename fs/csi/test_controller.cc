#include "fs/csi/test_controller.h"

#include <algorithm>

namespace modelfs::fs {
namespace {

grpc::Status Bad(const char* what) { return {grpc::StatusCode::INVALID_ARGUMENT, what}; }

}  // namespace

grpc::Status TestController::CreateVolume(grpc::ServerContext* /*context*/,
                                          const csi::v1::CreateVolumeRequest* request,
                                          csi::v1::CreateVolumeResponse* response) {
  if (request->name().empty()) return Bad("name: is missing");
  if (request->volume_capabilities().empty()) return Bad("volume_capabilities: are missing");
  const std::int64_t size = request->capacity_range().required_bytes();
  const MutexLock lock(mutex_);
  const auto [found, added] = volumes_.try_emplace(request->name());
  csi::v1::Volume& volume = found->second;
  if (added) {
    volume.set_volume_id(request->name());
    volume.set_capacity_bytes(size);
    *volume.mutable_volume_context() = request->parameters();
  } else if (volume.capacity_bytes() != size) {
    return {grpc::StatusCode::ALREADY_EXISTS, "capacity_range: there is one of another size"};
  }
  *response->mutable_volume() = volume;
  return grpc::Status::OK;
}

grpc::Status TestController::DeleteVolume(grpc::ServerContext* /*context*/,
                                          const csi::v1::DeleteVolumeRequest* request,
                                          csi::v1::DeleteVolumeResponse* /*response*/) {
  if (request->volume_id().empty()) return Bad("volume_id: is missing");
  const MutexLock lock(mutex_);
  std::erase_if(volumes_, [&](const auto& entry) {
    return entry.second.volume_id() == request->volume_id();
  });
  return grpc::Status::OK;
}

grpc::Status TestController::ValidateVolumeCapabilities(
    grpc::ServerContext* /*context*/, const csi::v1::ValidateVolumeCapabilitiesRequest* request,
    csi::v1::ValidateVolumeCapabilitiesResponse* response) {
  if (request->volume_id().empty()) return Bad("volume_id: is missing");
  if (request->volume_capabilities().empty()) return Bad("volume_capabilities: are missing");
  const MutexLock lock(mutex_);
  const bool known = std::ranges::any_of(volumes_, [&](const auto& entry) {
    return entry.second.volume_id() == request->volume_id();
  });
  if (!known) return {grpc::StatusCode::NOT_FOUND, "volume_id: there is no such volume"};
  *response->mutable_confirmed()->mutable_volume_capabilities() = request->volume_capabilities();
  return grpc::Status::OK;
}

grpc::Status TestController::ControllerGetCapabilities(
    grpc::ServerContext* /*context*/, const csi::v1::ControllerGetCapabilitiesRequest* /*request*/,
    csi::v1::ControllerGetCapabilitiesResponse* response) {
  response->add_capabilities()->mutable_rpc()->set_type(
      csi::v1::ControllerServiceCapability::RPC::CREATE_DELETE_VOLUME);
  return grpc::Status::OK;
}

}  // namespace modelfs::fs
