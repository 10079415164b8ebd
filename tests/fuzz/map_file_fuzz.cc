// Map files, which lie beside the data of an object and outlive everything.
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "index/map_file.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

namespace {

constexpr std::size_t kChecksum = 16;  // FORMAT.md
constexpr std::size_t kHeaderSize = 24;

/// Makes the header's checksum right, or nearly nothing would come past it.
std::string Mended(std::string_view bytes) {
  std::string out(bytes);
  if (out.size() < kHeaderSize + 8) return out;
  std::uint64_t size = 0;
  std::memcpy(&size, out.data() + kHeaderSize, sizeof size);
  const std::uint64_t covered = std::min<std::uint64_t>(size, out.size());
  std::memset(out.data() + kChecksum, 0, 8);
  const std::uint64_t hash = XXH3_64bits(out.data(), covered);
  if (covered >= kHeaderSize) std::memcpy(out.data() + kChecksum, &hash, sizeof hash);
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = ::memfd_create("map", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  const std::string bytes = Mended(test::Text(data, size));
  if (::ftruncate(file, 0) != 0) std::abort();
  if (::pwrite(file, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    std::abort();
  }
  const auto map = index::MapFile::Open(path);
  if (!map) return 0;
  std::uint64_t last = 0;
  bool first = true;
  const auto read = map->ReadAll([&](std::uint64_t index, const index::MapRecord& record) {
    test::Require(first || index > last, "indices ascend");
    test::Require((record.flags & index::MapRecord::kPresent) != 0, "only what is present");
    first = false;
    last = index;
  });
  test::Use(read);
  test::Use(map->LastWritten());
  return 0;
}
