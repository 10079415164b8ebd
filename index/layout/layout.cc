#include "index/layout/layout.h"

#include <fmt/format.h>

#include <algorithm>

namespace modelfs::index {

LayoutStep MakeLayout(std::vector<ByteRange> parts, std::uint64_t size_bytes,
                      std::vector<std::string> siblings) {
  std::erase_if(parts, [](ByteRange part) { return part.begin == part.end; });
  if (parts.size() > kMostLayoutParts) return LayoutDoubt{"too many parts"};
  if (siblings.size() > kMostLayoutSiblings) return LayoutDoubt{"too many siblings"};
  std::ranges::sort(parts, {}, &ByteRange::begin);
  std::uint64_t end = 0;
  for (const ByteRange part : parts) {
    if (part.begin > part.end || part.end > size_bytes) {
      return LayoutDoubt{fmt::format("a part [{}, {}) is not within the file's {} bytes",
                                     part.begin, part.end, size_bytes)};
    }
    if (part.begin < end) return LayoutDoubt{fmt::format("parts overlap at {}", part.begin)};
    end = part.end;
  }
  return Layout{.parts = std::move(parts), .siblings = std::move(siblings)};
}

}  // namespace modelfs::index
