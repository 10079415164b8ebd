#include "fs/csi/node_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "fs/csi/rpc_status.h"

namespace modelfs::fs {
namespace {

using csi::v1::VolumeCapability;
using Mode = VolumeCapability::AccessMode;

constexpr std::size_t kLongestId = 128;
constexpr std::size_t kLongestPath = 4096;

CsiResult<void> CheckText(const char* name, const std::string& value, std::size_t longest) {
  if (value.empty()) {
    return CsiFail(CsiCode::kInvalidArgument, fmt::format("{}: is missing", name));
  }
  if (value.size() <= longest) return {};
  return CsiFail(CsiCode::kInvalidArgument,
                 fmt::format("{}: is longer than {} bytes", name, longest));
}

/// Paths are compared with mountinfo as text.
CsiResult<std::string> CheckPath(const char* name, std::string path) {
  if (auto ok = CheckText(name, path, kLongestPath); !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const bool walks = path.find("/../") != std::string::npos || path.ends_with("/..");
  if (path.starts_with('/') && path != "/" && !walks) return path;
  return CsiFail(CsiCode::kInvalidArgument, fmt::format("{}: '{}' is not absolute", name, path));
}

/// Whether it allows one place at a time.
CsiResult<bool> CheckCapability(const csi::v1::NodePublishVolumeRequest& request) {
  if (!request.has_volume_capability()) {
    return CsiFail(CsiCode::kInvalidArgument, "volume_capability: is missing");
  }
  const VolumeCapability& capability = request.volume_capability();
  if (capability.has_block()) {
    return CsiFail(CsiCode::kInvalidArgument,
                   "volume_capability.block: a model is no block device; use volumeMode: "
                   "Filesystem");
  }
  if (!capability.has_mount()) {
    return CsiFail(CsiCode::kInvalidArgument, "volume_capability.mount: is missing");
  }
  switch (capability.access_mode().mode()) {
    case Mode::SINGLE_NODE_WRITER:
    case Mode::SINGLE_NODE_READER_ONLY:
    case Mode::SINGLE_NODE_SINGLE_WRITER: return true;
    case Mode::SINGLE_NODE_MULTI_WRITER:
    case Mode::MULTI_NODE_READER_ONLY:
    case Mode::MULTI_NODE_SINGLE_WRITER:
    case Mode::MULTI_NODE_MULTI_WRITER: return false;
    default: break;
  }
  return CsiFail(CsiCode::kInvalidArgument, "volume_capability.access_mode: is missing");
}

StringMap ToMap(const google::protobuf::Map<std::string, std::string>& map) {
  return {map.begin(), map.end()};
}

std::int64_t Clamp(std::uint64_t value) {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(value, std::numeric_limits<std::int64_t>::max()));
}

}  // namespace

grpc::Status NodeService::NodePublishVolume(grpc::ServerContext* /*context*/,
                                            const csi::v1::NodePublishVolumeRequest* request,
                                            csi::v1::NodePublishVolumeResponse* /*response*/) {
  return Answer(*options_.calls, "NodePublishVolume", [&]() -> CsiResult<void> {
    if (auto ok = CheckText("volume_id", request->volume_id(), kLongestId); !ok) return ok;
    auto target = CheckPath("target_path", request->target_path());
    if (!target) return std::unexpected(std::move(target.error()));
    const auto one_place = CheckCapability(*request);
    if (!one_place) return std::unexpected(one_place.error());
    return options_.volumes->Publish({.volume_id = request->volume_id(),
                                      .target = *std::move(target),
                                      .one_place = *one_place,
                                      .attributes = ToMap(request->volume_context()),
                                      .secrets = ToMap(request->secrets())});
  });
}

grpc::Status NodeService::NodeUnpublishVolume(grpc::ServerContext* /*context*/,
                                              const csi::v1::NodeUnpublishVolumeRequest* request,
                                              csi::v1::NodeUnpublishVolumeResponse* /*response*/) {
  return Answer(*options_.calls, "NodeUnpublishVolume", [&]() -> CsiResult<void> {
    if (auto ok = CheckText("volume_id", request->volume_id(), kLongestId); !ok) return ok;
    const auto target = CheckPath("target_path", request->target_path());
    if (!target) return std::unexpected(target.error());
    return options_.volumes->Unpublish(request->volume_id(), *target);
  });
}

grpc::Status NodeService::NodeGetVolumeStats(grpc::ServerContext* /*context*/,
                                             const csi::v1::NodeGetVolumeStatsRequest* request,
                                             csi::v1::NodeGetVolumeStatsResponse* response) {
  return Answer(*options_.calls, "NodeGetVolumeStats", [&]() -> CsiResult<void> {
    if (auto ok = CheckText("volume_id", request->volume_id(), kLongestId); !ok) return ok;
    const std::string& path = request->volume_path();
    if (auto ok = CheckText("volume_path", path, kLongestPath); !ok) return ok;
    const auto condition = options_.volumes->Look(request->volume_id(), path);
    if (!condition) return std::unexpected(condition.error());
    csi::v1::VolumeUsage* const usage = response->add_usage();
    usage->set_unit(csi::v1::VolumeUsage::BYTES);
    usage->set_total(Clamp(condition->total_bytes));
    usage->set_used(Clamp(condition->total_bytes));  // It is full: nobody can write.
    csi::v1::VolumeCondition* const seen = response->mutable_volume_condition();
    seen->set_abnormal(!condition->problem.empty());
    seen->set_message(condition->problem.empty()
                          ? fmt::format("{} of {} bytes are cached on this node",
                                        condition->cached_bytes, condition->total_bytes)
                          : condition->problem);
    return {};
  });
}

grpc::Status NodeService::NodeGetCapabilities(
    grpc::ServerContext* /*context*/, const csi::v1::NodeGetCapabilitiesRequest* /*request*/,
    csi::v1::NodeGetCapabilitiesResponse* response) {
  using Rpc = csi::v1::NodeServiceCapability::RPC;
  for (const auto type :
       {Rpc::GET_VOLUME_STATS, Rpc::VOLUME_CONDITION, Rpc::SINGLE_NODE_MULTI_WRITER}) {
    response->add_capabilities()->mutable_rpc()->set_type(type);
  }
  return grpc::Status::OK;
}

grpc::Status NodeService::NodeGetInfo(grpc::ServerContext* /*context*/,
                                      const csi::v1::NodeGetInfoRequest* /*request*/,
                                      csi::v1::NodeGetInfoResponse* response) {
  response->set_node_id(options_.node_id);
  return grpc::Status::OK;
}

}  // namespace modelfs::fs
