#pragma once

#include <string>

#include "csi.grpc.pb.h"
#include "fs/csi/call_log.h"
#include "fs/csi/volumes.h"

namespace modelfs::fs {

/// What the kubelet asks of this node. Checks what the specification wants to be there; Volumes
/// does the rest.
/// Threads: any.
class NodeService final : public csi::v1::Node::Service {
 public:
  struct Options {
    std::string node_id;
    Volumes* volumes = nullptr;  ///< Borrowed.
    CallLog* calls = nullptr;    ///< Borrowed.
  };
  explicit NodeService(Options options) : options_(std::move(options)) {}

  grpc::Status NodePublishVolume(grpc::ServerContext* context,
                                 const csi::v1::NodePublishVolumeRequest* request,
                                 csi::v1::NodePublishVolumeResponse* response) override;
  grpc::Status NodeUnpublishVolume(grpc::ServerContext* context,
                                   const csi::v1::NodeUnpublishVolumeRequest* request,
                                   csi::v1::NodeUnpublishVolumeResponse* response) override;
  grpc::Status NodeGetVolumeStats(grpc::ServerContext* context,
                                  const csi::v1::NodeGetVolumeStatsRequest* request,
                                  csi::v1::NodeGetVolumeStatsResponse* response) override;
  grpc::Status NodeGetCapabilities(grpc::ServerContext* context,
                                   const csi::v1::NodeGetCapabilitiesRequest* request,
                                   csi::v1::NodeGetCapabilitiesResponse* response) override;
  grpc::Status NodeGetInfo(grpc::ServerContext* context, const csi::v1::NodeGetInfoRequest* request,
                           csi::v1::NodeGetInfoResponse* response) override;

 private:
  const Options options_;
};

}  // namespace modelfs::fs
