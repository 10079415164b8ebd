#include "fs/csi/identity_service.h"

namespace modelfs::fs {

grpc::Status IdentityService::GetPluginInfo(grpc::ServerContext* /*context*/,
                                            const csi::v1::GetPluginInfoRequest* /*request*/,
                                            csi::v1::GetPluginInfoResponse* response) {
  response->set_name(options_.name);
  response->set_vendor_version(MODELFS_VERSION);
  return grpc::Status::OK;
}

grpc::Status IdentityService::GetPluginCapabilities(
    grpc::ServerContext* /*context*/, const csi::v1::GetPluginCapabilitiesRequest* /*request*/,
    csi::v1::GetPluginCapabilitiesResponse* response) {
  if (options_.controller) {
    response->add_capabilities()->mutable_service()->set_type(
        csi::v1::PluginCapability::Service::CONTROLLER_SERVICE);
  }
  return grpc::Status::OK;
}

grpc::Status IdentityService::Probe(grpc::ServerContext* /*context*/,
                                    const csi::v1::ProbeRequest* /*request*/,
                                    csi::v1::ProbeResponse* response) {
  response->mutable_ready()->set_value(true);
  return grpc::Status::OK;
}

}  // namespace modelfs::fs
