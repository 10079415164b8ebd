#pragma once

#include <string>
#include <vector>

#include "fs/csi/volume_mounts.h"

namespace modelfs::fs {

/// By the program `modelfs`, mount(2) and umount2(2).
class ModelfsMounts final : public VolumeMounts {
 public:
  struct Options {
    std::string program;              ///< Path of modelfs.
    std::vector<std::string> launch;  ///< Words before it, so that daemons do not end with us.
  };
  explicit ModelfsMounts(Options options) : options_(std::move(options)) {}

  Result<void> Mount(const Request& request) override;
  Result<void> Bind(const std::string& from, const std::string& target) override;
  Result<void> Unbind(const std::string& target) override;
  Result<void> Unmount(const std::string& path) override;
  Result<MountTable> Table() override { return MountTable::Read(); }

 private:
  const Options options_;
};

}  // namespace modelfs::fs
