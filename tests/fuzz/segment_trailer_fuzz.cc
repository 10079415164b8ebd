// The end of a segment, of a directory that others may write to. The first byte says how much the
// file is longer than its trailer; an odd one asks for the right sum, or nearly none would be a
// trailer.
#include <xxhash.h>

#include <cstring>
#include <span>
#include <string>

#include "index/shared/segment_trailer.h"
#include "tests/fuzz/fuzz.h"

using modelfs::index::shared::SegmentTrailer;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string text(modelfs::test::Text(data, size).substr(1));
  if ((data[0] & 1) != 0 && text.size() >= SegmentTrailer::kFixedBytes) {
    const std::size_t checked = text.size() - 16;
    const std::uint64_t sum = XXH3_64bits(text.data(), checked);
    std::memcpy(text.data() + checked, &sum, sizeof sum);
    std::memcpy(text.data() + checked + 8, "MFSSEG01", 8);
  }
  const auto bytes = std::as_bytes(std::span(text));
  const std::uint64_t file_bytes = text.size() + (data[0] >> 1) * std::uint64_t{1024};
  const auto trailer = SegmentTrailer::Decode(bytes, file_bytes);
  if (!trailer) return 0;
  modelfs::test::Require(trailer->file_bytes() == file_bytes, "its lengths fit the file");
  const auto again = trailer->Encode();
  const auto twice = SegmentTrailer::Decode(again, file_bytes);
  modelfs::test::Require(twice && twice->sums == trailer->sums, "a trailer is kept as it is");
  return 0;
}
