// Files of access profiles. An odd first byte asks for the checksum at the end of the rest, or
// nearly none would be one.
#include <xxhash.h>

#include <string>

#include "index/profile_file.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string text(test::Text(data, size).substr(1));
  if ((data[0] & 1) != 0) {
    const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
    text.append(reinterpret_cast<const char*>(&hash), sizeof hash);
  }
  const auto file = index::ProfileFile::Decode(text);
  if (!file) return 0;
  test::Require(file->Encode() == text, "a file is written as it was read");
  for (const auto& named : file->profiles) {
    test::Require(!named.name.empty() && named.name.find('/') == std::string::npos,
                  "a name is one component");
    test::Require(named.profile.bytes() <= named.profile.object_bytes,
                  "a profile is no larger than its object");
  }
  return 0;
}
