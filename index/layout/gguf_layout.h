#pragma once

#include <string>
#include <vector>

#include "index/layout/byte_window.h"
#include "index/layout/layout_reader.h"
#include "index/layout/little_bytes.h"

namespace modelfs::index {

/// GGUF 2 and 3, little-endian, as llama.cpp reads it.
///
///     | "GGUF", version, counts | key-value pairs | tensors' names, shapes, offsets | pad | data |
///
/// Nothing says how long the head is: it is read piece by piece and not kept. Parts: the head, then
/// the tensors. Siblings: from the first file of a split model (`…-00001-of-00003.gguf`) the rest.
/// Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
class GgufLayout final : public LayoutReader {
 public:
  GgufLayout(std::string_view name, std::uint64_t size_bytes);

  LayoutStep Begin() override;
  LayoutStep Feed(std::span<const std::byte> bytes) override;

 private:
  enum class Stage {
    kCounts,   ///< Magic, version, how many pairs and tensors.
    kPairs,    ///< Before a key.
    kTexts,    ///< Within an array of texts.
    kTensors,  ///< Before a tensor's description.
  };
  enum class Outcome {
    kOn,     ///< One more item is behind us.
    kShort,  ///< More bytes are needed for the next.
    kBad,    ///< `why_` tells.
  };
  struct Tensor {
    std::uint64_t offset = 0;  ///< From the begin of the data.
    std::uint64_t size_bytes = 0;
    bool sized = false;  ///< Or its type is not known, and it reaches to the next.
  };

  Outcome ReadItem();
  Outcome ReadCounts();
  Outcome ReadPair();
  Outcome ReadArray(LittleBytes& in);
  Outcome ReadTexts();
  Outcome ReadTensor();
  Outcome Pass(const LittleBytes& in, std::uint64_t more_bytes = 0);
  Outcome Bad(std::string why);
  LayoutStep Ask();
  LayoutStep Place();

  const std::string name_;
  const std::uint64_t size_bytes_;
  ByteWindow window_;
  Stage stage_ = Stage::kCounts;
  std::string why_;
  std::uint64_t next_need_bytes_;
  std::uint64_t pairs_left_ = 0;
  std::uint64_t texts_left_ = 0;
  std::uint64_t tensors_left_ = 0;
  std::uint64_t alignment_ = 32;
  std::uint64_t files_ = 1;  ///< Of a split model.
  std::vector<Tensor> tensors_;
};

}  // namespace modelfs::index
