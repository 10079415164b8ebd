#include "index/layout/layout_reader.h"

#include <gtest/gtest.h>

namespace modelfs::index {
namespace {

TEST(LayoutReaderTest, KnowsFilesByTheEndOfTheirNames) {
  for (const char* const name :
       {"model.safetensors", "a/b.gguf", "model.onnx", "x.pt", "x.pth", "pytorch_model.bin",
        "x.npz", "x.npy", "model.safetensors.index.json", "model.fp16.safetensors.index.json",
        "pytorch_model.bin.index.json"}) {
    EXPECT_NE(LayoutReader::For(name, 100), nullptr) << name;
  }
  for (const char* const name : {"", "config.json", "index.json", "safetensors", "model.onnx_data",
                                 "a.gguf/b", "x.npyz", "model.safetensors.json"}) {
    EXPECT_EQ(LayoutReader::For(name, 100), nullptr) << name;
  }
}

TEST(LayoutReaderTest, KnowsNothingOfAnEmptyFile) {
  EXPECT_EQ(LayoutReader::For("model.safetensors", 0), nullptr);
}

// An error of the caller, or an origin that lies about sizes.
TEST(LayoutReaderTest, DoubtsOtherBytesThanItAskedFor) {
  for (const char* const name :
       {"a.safetensors", "a.gguf", "a.onnx", "a.pt", "a.npy", "a.safetensors.index.json"}) {
    auto reader = LayoutReader::For(name, 5000);
    ASSERT_TRUE(std::holds_alternative<LayoutNeed>(reader->Begin())) << name;
    EXPECT_TRUE(std::holds_alternative<LayoutDoubt>(reader->Feed({}))) << name;
  }
}

}  // namespace
}  // namespace modelfs::index
