#pragma once

#include "index/layout/layout_reader.h"

namespace modelfs::index {

/// safetensors: the length of a JSON header, the header, the tensors' data.
///
///     | u64 n | {"name":{…,"data_offsets":[b,e]},…} | data: b and e count from here … |
///
/// Parts: the header with its length, then the tensors.
/// Source: https://github.com/huggingface/safetensors, "Format"; its parser allows a header of
/// 100 MB, this one what kMostLayoutBytes leaves.
class SafetensorsLayout final : public LayoutReader {
 public:
  explicit SafetensorsLayout(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

  LayoutStep Begin() override;
  LayoutStep Feed(std::span<const std::byte> bytes) override;

 private:
  LayoutStep ReadLength(std::span<const std::byte> bytes);
  LayoutStep ReadHeader(std::span<const std::byte> bytes) const;

  const std::uint64_t size_bytes_;
  std::uint64_t header_bytes_ = 0;  ///< Without its length; 0: not known yet.
};

}  // namespace modelfs::index
