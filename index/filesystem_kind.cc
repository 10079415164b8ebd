#include "index/filesystem_kind.h"

#include <fmt/format.h>
#include <sys/statfs.h>

#include <array>
#include <system_error>

namespace modelfs::index {
namespace {

using Class = FilesystemKind::Class;

struct KnownFilesystem {
  std::uint64_t magic;
  Class kind;
  const char* name;
};
// Source: statfs(2), linux/magic.h.
constexpr std::array<KnownFilesystem, 18> kKnown{{
    {0xEF53, Class::kLocal, "ext4"},
    {0x58465342, Class::kLocal, "xfs"},
    {0x9123683E, Class::kLocal, "btrfs"},
    {0x2FC12FC1, Class::kLocal, "zfs"},
    {0xF2F52010, Class::kLocal, "f2fs"},
    {0x01021994, Class::kMemory, "tmpfs"},
    {0x858458F6, Class::kMemory, "ramfs"},
    {0x794C7630, Class::kOverlay, "overlay"},
    {0x6969, Class::kNetwork, "nfs"},
    {0xFF534D42, Class::kNetwork, "cifs"},
    {0xFE534D42, Class::kNetwork, "smb"},
    {0x00C36400, Class::kNetwork, "ceph"},
    {0x65735546, Class::kNetwork, "fuse"},
    {0x01021997, Class::kNetwork, "9p"},
    {0x0BD00BD0, Class::kNetwork, "lustre"},
    {0x47504653, Class::kNetwork, "gpfs"},
    {0x5346414F, Class::kNetwork, "afs"},
    {0x19830326, Class::kNetwork, "beegfs"},
}};

}  // namespace

FilesystemKind ClassifyFilesystem(std::uint64_t magic) {
  for (const auto& known : kKnown) {
    if (known.magic == magic) return {known.kind, known.name};
  }
  return {Class::kLocal, fmt::format("type {:#x}", magic)};
}

std::filesystem::path NearestExisting(std::filesystem::path path) {
  std::error_code error;
  while (!std::filesystem::exists(path, error) && path.has_relative_path()) {
    path = path.parent_path();
  }
  return path;
}

FilesystemKind FilesystemKindOf(const std::filesystem::path& directory) {
  struct statfs info{};
  if (::statfs(NearestExisting(directory).c_str(), &info) != 0) return {Class::kLocal, "unknown"};
  return ClassifyFilesystem(static_cast<std::uint32_t>(info.f_type));
}

}  // namespace modelfs::index
