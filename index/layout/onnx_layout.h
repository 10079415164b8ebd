#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "index/layout/byte_window.h"
#include "index/layout/layout_reader.h"

namespace modelfs::index {

/// ONNX: one protobuf message, whose tensors may lie in other files.
///
/// Walks through the messages that can hold tensors and jumps over all else, so that weights within
/// the file are not asked for. A file with many of them is given up: it is read front to back
/// anyway. Part: the whole file. Siblings: the locations of external data, as they first occur.
/// Source: onnx/onnx.proto; onnx/external_data_helper.py.
class OnnxLayout final : public LayoutReader {
 public:
  explicit OnnxLayout(std::uint64_t size_bytes);

  LayoutStep Begin() override;
  LayoutStep Feed(std::span<const std::byte> bytes) override;

 private:
  enum class Message : std::uint8_t {
    kModel,
    kTraining,
    kGraph,
    kFunction,
    kNode,
    kAttribute,
    kSparse,
    kTensor,
    kExternal,  ///< A key and a value of a tensor's external data.
  };
  enum class Outcome { kOn, kShort, kBad };
  /// A message that we are in.
  struct Frame {
    Message message = Message::kModel;
    std::uint64_t end = 0;
  };

  static bool Child(Message in, std::uint64_t field, Message& child);
  Outcome ReadField();
  Outcome ReadDelimited(std::uint64_t field, std::uint64_t taken_bytes, std::uint64_t length);
  bool Close(Message message);
  LayoutStep Ask();

  const std::uint64_t size_bytes_;
  ByteWindow window_;
  std::uint64_t next_need_bytes_;
  int needs_ = 0;
  std::vector<Frame> frames_;
  bool graph_ = false;     ///< There is one: it is a model.
  bool external_ = false;  ///< The tensor says that its data lie elsewhere.
  bool location_key_ = false;
  std::string value_;     ///< Of the key that is being read.
  std::string location_;  ///< Of the tensor.
  std::vector<std::string> siblings_;
  std::unordered_set<std::string> known_;
};

}  // namespace modelfs::index
