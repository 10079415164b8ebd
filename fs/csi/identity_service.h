#pragma once

#include <string>

#include "csi.grpc.pb.h"

namespace modelfs::fs {

/// Who the driver is. Probe looks at nothing: whatever hangs, the driver is alive.
/// Threads: any.
class IdentityService final : public csi::v1::Identity::Service {
 public:
  struct Options {
    std::string name;         ///< Of the driver, as in its CSIDriver.
    bool controller = false;  ///< There is a Controller service, too.
  };
  explicit IdentityService(Options options) : options_(std::move(options)) {}

  grpc::Status GetPluginInfo(grpc::ServerContext* context,
                             const csi::v1::GetPluginInfoRequest* request,
                             csi::v1::GetPluginInfoResponse* response) override;
  grpc::Status GetPluginCapabilities(grpc::ServerContext* context,
                                     const csi::v1::GetPluginCapabilitiesRequest* request,
                                     csi::v1::GetPluginCapabilitiesResponse* response) override;
  grpc::Status Probe(grpc::ServerContext* context, const csi::v1::ProbeRequest* request,
                     csi::v1::ProbeResponse* response) override;

 private:
  const Options options_;
};

}  // namespace modelfs::fs
