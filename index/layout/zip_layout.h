#pragma once

#include <vector>

#include "index/layout/layout_reader.h"

namespace modelfs::index {

/// Zip archives: PyTorch's `.pt`, `.pth` and `.bin` (when they are no bare pickle), numpy's `.npz`.
///
///     | entry | entry | … | central directory | [zip64 end, its locator] | end |
///
/// Each need is met by bytes that loaders want first, too: the magic, then the end, then what the
/// end did not hold of the directory. Parts: the entries with their headers and padding (an entry's
/// own header tells its true length, so that a part may reach to the next one), then the directory
/// with all behind it.
/// Source: APPNOTE.TXT 6.3.10 of PKWARE; PyTorch's caffe2/serialize/inline_container.cc.
class ZipLayout final : public LayoutReader {
 public:
  explicit ZipLayout(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

  LayoutStep Begin() override;
  LayoutStep Feed(std::span<const std::byte> bytes) override;

 private:
  enum class Stage { kMagic, kEnd, kDirectory };

  LayoutStep ReadMagic(std::span<const std::byte> bytes);
  LayoutStep ReadEnd(std::span<const std::byte> tail);
  LayoutStep ReadDirectory(std::span<const std::byte> directory) const;

  const std::uint64_t size_bytes_;
  Stage stage_ = Stage::kMagic;
  std::uint64_t tail_begin_ = 0;
  std::vector<std::byte> tail_;  ///< From its begin to the directory's end.
  std::uint64_t entries_ = 0;
  ByteRange directory_;
};

}  // namespace modelfs::index
