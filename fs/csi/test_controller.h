#pragma once

#include <map>
#include <string>

#include "csi.grpc.pb.h"
#include "fetch/base/mutex.h"

namespace modelfs::fs {

/// Answers as a controller would, so that csi-sanity runs its node specs: it makes volumes that are
/// no more than a name with attributes. For tests alone; models are made elsewhere.
/// Threads: any.
class TestController final : public csi::v1::Controller::Service {
 public:
  grpc::Status CreateVolume(grpc::ServerContext* context,
                            const csi::v1::CreateVolumeRequest* request,
                            csi::v1::CreateVolumeResponse* response) override EXCLUDES(mutex_);
  grpc::Status DeleteVolume(grpc::ServerContext* context,
                            const csi::v1::DeleteVolumeRequest* request,
                            csi::v1::DeleteVolumeResponse* response) override EXCLUDES(mutex_);
  grpc::Status ValidateVolumeCapabilities(
      grpc::ServerContext* context, const csi::v1::ValidateVolumeCapabilitiesRequest* request,
      csi::v1::ValidateVolumeCapabilitiesResponse* response) override EXCLUDES(mutex_);
  grpc::Status ControllerGetCapabilities(
      grpc::ServerContext* context, const csi::v1::ControllerGetCapabilitiesRequest* request,
      csi::v1::ControllerGetCapabilitiesResponse* response) override;

 private:
  Mutex mutex_;
  std::map<std::string, csi::v1::Volume> volumes_ GUARDED_BY(mutex_);  ///< By name.
};

}  // namespace modelfs::fs
