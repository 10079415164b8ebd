#pragma once

#include "index/layout/layout_reader.h"

namespace modelfs::index {

/// The index of a model in shards, `*.safetensors.index.json` and `*.bin.index.json`:
///
///     {"metadata": …, "weight_map": {"tensor": "model-00001-of-00009.safetensors", …}}
///
/// Siblings: the shards by name, as transformers opens them (sorted, whatever the order of
/// tensors); vLLM's natural order is the same, for numbers are padded. Part: the whole file.
class ShardIndexLayout final : public LayoutReader {
 public:
  explicit ShardIndexLayout(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

  LayoutStep Begin() override;
  LayoutStep Feed(std::span<const std::byte> bytes) override;

 private:
  const std::uint64_t size_bytes_;
};

}  // namespace modelfs::index
