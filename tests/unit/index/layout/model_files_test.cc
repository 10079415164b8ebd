// Files that the formats' own libraries wrote: tests/corpus/model_files.py.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/index/layout/layout_walk.h"

namespace modelfs::index {
namespace {

const std::filesystem::path kModels = MODELFS_MODEL_FILES;

std::string Content(const std::string& name) {
  std::ifstream file(kModels / name, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

test::LayoutWalk Walk(const std::string& name) {
  const std::string content = Content(name);
  EXPECT_FALSE(content.empty()) << name;
  auto walk = test::WalkLayout(name, test::SparseFile(content));
  EXPECT_EQ(walk.broken, "") << name;
  return walk;
}

std::vector<ByteRange> Tensors(const std::string& name) {
  static const auto expected = nlohmann::json::parse(Content("expected.json"));
  std::vector<ByteRange> tensors;
  for (const auto& range : expected.at(name)) tensors.push_back({range.at(0), range.at(1)});
  EXPECT_FALSE(tensors.empty()) << name;
  return tensors;
}

/// Each tensor lies within one part, and no part holds two.
void ExpectPartPerTensor(const std::string& name) {
  const Layout layout = Walk(name).layout();
  auto part = layout.parts.begin();
  for (const ByteRange tensor : Tensors(name)) {
    while (part != layout.parts.end() && !part->Contains(tensor)) ++part;
    ASSERT_NE(part, layout.parts.end()) << name << ": no part for " << tensor.begin;
    ++part;
  }
}

TEST(ModelFilesTest, FindsTheTensorsOfSafetensors) {
  const auto tensors = Tensors("small.safetensors");
  std::vector<ByteRange> parts{{0, tensors.front().begin}};
  parts.insert(parts.end(), tensors.begin(), tensors.end());
  const auto walk = Walk("small.safetensors");
  EXPECT_EQ(walk.layout().parts, parts);
  EXPECT_EQ(walk.needs, (std::vector<ByteRange>{{0, 8}, {8, tensors.front().begin}}));
}

TEST(ModelFilesTest, FindsTheTensorsOfGguf) {
  for (const std::string name : {"small.gguf", "split-00001-of-00003.gguf"}) {
    const auto tensors = Tensors(name);
    const auto parts = Walk(name).layout().parts;
    ASSERT_EQ(parts.size(), tensors.size() + 1) << name;
    EXPECT_EQ(parts.front().begin, 0u);
    EXPECT_TRUE(std::equal(tensors.begin(), tensors.end(), parts.begin() + 1)) << name;
  }
}

TEST(ModelFilesTest, FirstGgufOfASplitModelNamesTheRest) {
  EXPECT_EQ(Walk("split-00001-of-00003.gguf").layout().siblings,
            (std::vector<std::string>{"split-00002-of-00003.gguf", "split-00003-of-00003.gguf"}));
  EXPECT_TRUE(Walk("small.gguf").layout().siblings.empty());
}

TEST(ModelFilesTest, FindsTheArrayOfNpy) {
  for (const std::string name : {"small.npy", "version2.npy"}) {
    const ByteRange array = Tensors(name).at(0);
    const auto walk = Walk(name);
    EXPECT_EQ(walk.layout().parts, (std::vector<ByteRange>{{0, array.begin}, array})) << name;
    EXPECT_EQ(walk.asked_bytes(), 12u);
  }
}

TEST(ModelFilesTest, FindsTheEntriesOfNpz) {
  ExpectPartPerTensor("small.npz");
  ExpectPartPerTensor("compressed.npz");
  EXPECT_EQ(Walk("small.npz").layout().parts.size(), 3u);
}

TEST(ModelFilesTest, ReadsOnnxAsOnePiece) {
  const auto walk = Walk("inline.onnx");
  EXPECT_EQ(walk.layout().parts, (std::vector<ByteRange>{{0, Content("inline.onnx").size()}}));
  EXPECT_TRUE(walk.layout().siblings.empty());
}

TEST(ModelFilesTest, FindsWhereOnnxKeepsItsData) {
  EXPECT_EQ(Walk("external.onnx").layout().siblings,
            (std::vector<std::string>{"external.onnx_data"}));
  auto siblings = Walk("branches.onnx").layout().siblings;
  std::ranges::sort(siblings);
  EXPECT_EQ(siblings, (std::vector<std::string>{"else", "then", "w0", "w1", "w2"}));
}

// What a file means must not depend on bytes behind what it needs, and a cut one is never believed
// to reach beyond its end.
TEST(ModelFilesTest, TakesCutFilesForWhatTheyAre) {
  for (const auto& entry : std::filesystem::directory_iterator(kModels)) {
    const std::string name = entry.path().filename();
    const std::string content = Content(name);
    for (std::size_t size = 1; size < content.size(); ++size) {
      const auto walk = test::WalkLayout(name, test::SparseFile(content.substr(0, size)));
      ASSERT_EQ(walk.broken, "") << name << " cut to " << size;
      // Only an array may end anywhere, and a message between two fields.
      if (name.ends_with(".npy") || name.ends_with(".onnx")) continue;
      ASSERT_TRUE(walk.doubted() || size + 64 > content.size()) << name << " cut to " << size;
    }
  }
}

TEST(ModelFilesTest, KeepsItsPromisesWhateverByteIsWrong) {
  for (const auto& entry : std::filesystem::directory_iterator(kModels)) {
    const std::string name = entry.path().filename();
    std::string content = Content(name);
    for (char& byte : content) {
      const char was = byte;
      for (const int flip : {0x01, 0x80, 0xff}) {
        byte = static_cast<char>(was ^ flip);
        ASSERT_EQ(test::WalkLayout(name, test::SparseFile(content)).broken, "")
            << name << " at " << (&byte - content.data());
      }
      byte = was;
    }
  }
}

}  // namespace
}  // namespace modelfs::index
