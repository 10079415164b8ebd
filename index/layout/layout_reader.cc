#include "index/layout/layout_reader.h"

#include "index/layout/gguf_layout.h"
#include "index/layout/npy_layout.h"
#include "index/layout/onnx_layout.h"
#include "index/layout/safetensors_layout.h"
#include "index/layout/shard_index_layout.h"
#include "index/layout/zip_layout.h"

namespace modelfs::index {

std::unique_ptr<LayoutReader> LayoutReader::For(std::string_view name, std::uint64_t size_bytes) {
  if (size_bytes == 0) return nullptr;
  const auto ends = [&](auto... suffix) { return (name.ends_with(suffix) || ...); };
  if (ends(".safetensors")) return std::make_unique<SafetensorsLayout>(size_bytes);
  if (ends(".safetensors.index.json", ".bin.index.json")) {
    return std::make_unique<ShardIndexLayout>(size_bytes);
  }
  if (ends(".gguf")) return std::make_unique<GgufLayout>(name, size_bytes);
  if (ends(".onnx")) return std::make_unique<OnnxLayout>(size_bytes);
  if (ends(".pt", ".pth", ".bin", ".npz")) return std::make_unique<ZipLayout>(size_bytes);
  if (ends(".npy")) return std::make_unique<NpyLayout>(size_bytes);
  return nullptr;
}

}  // namespace modelfs::index
