#include "index/layout/onnx_layout.h"

#include <gtest/gtest.h>

#include "tests/unit/index/layout/layout_walk.h"

namespace modelfs::index {
namespace {

std::string Varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
  return out;
}
std::string Number(std::uint64_t field, std::uint64_t value) {
  return Varint(field << 3) + Varint(value);
}
/// What stands before a field of that many bytes.
std::string Before(std::uint64_t field, std::uint64_t bytes) {
  return Varint(field << 3 | 2) + Varint(bytes);
}
std::string Field(std::uint64_t field, const std::string& bytes) {
  return Before(field, bytes.size()) + bytes;
}

std::string External(const std::string& location) {
  return Field(1, std::string(8, 'x')) + Field(8, "name") +
         Field(13, Field(1, "offset") + Field(2, "4096")) +
         Field(13, Field(1, "location") + Field(2, location)) + Number(14, 1);
}
std::string Model(const std::string& graph) {
  return Number(1, 8) + Field(2, "pytorch") + Field(7, graph) + Field(8, Number(2, 17));
}
std::string Initializer(const std::string& tensor) { return Field(5, tensor); }

test::LayoutWalk Walk(const test::SparseFile& file) {
  auto walk = test::WalkLayout("m.onnx", file);
  EXPECT_EQ(walk.broken, "");
  return walk;
}
test::LayoutWalk Walk(const std::string& content) { return Walk(test::SparseFile(content)); }
std::vector<std::string> Siblings(const std::string& content) {
  const auto walk = Walk(content);
  EXPECT_FALSE(walk.doubted()) << walk.why();
  return walk.layout().siblings;
}
using Names = std::vector<std::string>;

TEST(OnnxLayoutTest, GivesLocationsOnceAsTheyOccur) {
  const std::string model = Model(Initializer(External("z")) + Initializer(External("a/b.data")) +
                                  Initializer(External("./z")) + Initializer(External("c")));
  EXPECT_EQ(Siblings(model), (Names{"z", "a/b.data", "c"}));
  EXPECT_EQ(Walk(model).layout().parts, (std::vector<ByteRange>{{0, model.size()}}));
}

TEST(OnnxLayoutTest, BelievesALocationOnlyOfExternalTensors) {
  const std::string location = Field(13, Field(1, "location") + Field(2, "x"));
  EXPECT_EQ(Siblings(Model(Initializer(location))), Names{});
  EXPECT_EQ(Siblings(Model(Initializer(location + Number(14, 0)))), Names{});
  EXPECT_EQ(Siblings(Model(Initializer(location + Number(14, 1)))), Names{"x"});
  EXPECT_EQ(Siblings(Model(Initializer(Number(14, 1) + location))), Names{"x"});
  // Of one tensor nothing stays for the next.
  EXPECT_TRUE(Walk(Model(Initializer(location) + Initializer(Number(14, 1)))).doubted());
}

TEST(OnnxLayoutTest, FindsTensorsWhereverTheyMayBe) {
  const std::string tensor = External("x");
  const auto attribute = [](const std::string& content) { return Field(1, Field(5, content)); };
  for (const std::string& graph :
       {Initializer(tensor), attribute(Field(5, tensor)), attribute(Field(10, tensor)),
        attribute(Field(6, Initializer(tensor))), attribute(Field(11, Initializer(tensor))),
        attribute(Field(22, Field(1, tensor))), attribute(Field(23, Field(2, tensor))),
        Field(15, Field(1, tensor)), attribute(Field(6, attribute(Field(5, tensor))))}) {
    EXPECT_EQ(Siblings(Model(graph)), Names{"x"});
  }
  EXPECT_EQ(Siblings(Model("") + Field(20, Field(2, Initializer(tensor)))), Names{"x"});
  EXPECT_EQ(Siblings(Model("") + Field(25, Field(7, Field(5, Field(5, tensor))))), Names{"x"});
  EXPECT_EQ(Siblings(Model("") + Field(25, Field(11, Field(5, tensor)))), Names{"x"});
}

TEST(OnnxLayoutTest, JumpsOverDataWithinTheFile) {
  constexpr std::uint64_t kData = 900u << 20;
  const std::string behind = External("x");
  std::string tensor_head = Before(9, kData);
  const std::uint64_t tensor_bytes = tensor_head.size() + kData + behind.size();
  std::string graph_head = Before(5, tensor_bytes);
  const std::uint64_t graph_bytes = graph_head.size() + tensor_bytes;
  const std::string head = Number(1, 8) + Before(7, graph_bytes) + graph_head + tensor_head;
  test::SparseFile file(head.size() + kData + behind.size());
  file.Put(0, head);
  file.Put(head.size() + kData, behind);
  const auto walk = Walk(file);
  EXPECT_EQ(walk.layout().siblings, Names{"x"}) << walk.why();
  EXPECT_EQ(walk.needs.size(), 2u);
  EXPECT_LE(walk.asked_bytes(), 2u << 20);
}

TEST(OnnxLayoutTest, GivesUpAFileThatIsFullOfData) {
  constexpr std::uint64_t kData = 2u << 20;
  const std::string tensor = Before(9, kData);
  const std::string initializer = Before(5, tensor.size() + kData) + tensor;
  const std::uint64_t step = initializer.size() + kData;
  const std::string head = Before(7, 60 * step);
  test::SparseFile file(head.size() + 60 * step);
  file.Put(0, head);
  for (std::uint64_t i = 0; i < 60; ++i) file.Put(head.size() + i * step, initializer);
  const auto walk = Walk(file);
  EXPECT_TRUE(walk.doubted());
  EXPECT_EQ(walk.needs.size(), 40u);
  EXPECT_LE(walk.asked_bytes(), 8u << 20);
}

TEST(OnnxLayoutTest, ReadsAGraphOfManyMegabytes) {
  std::string graph;
  const std::string node = Field(1, Field(1, "input") + Field(2, "output") + Field(4, "MatMul"));
  for (int i = 0; i < 200'000; ++i) graph += node;
  graph += Initializer(External("x"));
  EXPECT_EQ(Siblings(Model(graph)), Names{"x"});
}

TEST(OnnxLayoutTest, DoubtsALocationElsewhere) {
  for (const std::string& location :
       {std::string("/etc/passwd"), std::string("../x"), std::string("a/../../x"), std::string(),
        std::string("a\0b", 3), std::string(4097, 'a'), std::string("./"), std::string(".")}) {
    EXPECT_TRUE(Walk(Model(Initializer(External(location)))).doubted()) << location;
  }
  EXPECT_TRUE(Walk(Model(Initializer(Number(14, 1)))).doubted());
}

TEST(OnnxLayoutTest, DoubtsWhatIsNoModel) {
  EXPECT_TRUE(Walk(Number(1, 8)).doubted()) << "no graph";
  EXPECT_TRUE(Walk(Model("") + Before(6, 1)).doubted()) << "cut";
  EXPECT_TRUE(Walk(Field(7, Before(5, 2))).doubted()) << "longer than what it is in";
  EXPECT_TRUE(Walk(Model("") + Before(6, ~std::uint64_t{0})).doubted());
  EXPECT_TRUE(Walk(Model("") + std::string(1, '\x0b')).doubted()) << "a group";
  EXPECT_TRUE(Walk(Model("") + std::string(1, '\x02') + std::string(1, '\0')).doubted()) << "0";
  EXPECT_TRUE(Walk(Model("") + std::string(11, '\xff')).doubted()) << "a number of 77 bits";
  EXPECT_FALSE(Walk(Model("") + "\x08" + std::string(9, '\x80') + std::string(1, '\0')).doubted());
  EXPECT_TRUE(Walk(Model("") + "\x08" + std::string(10, '\x80') + std::string(1, '\0')).doubted());
  EXPECT_TRUE(Walk(Model("") + "\x31" + std::string(7, 'x')).doubted()) << "8 bytes, cut";
  EXPECT_FALSE(Walk(Model("") + "\x31" + std::string(8, 'x')).doubted());
  EXPECT_TRUE(Walk(Model("") + "\x35" + std::string(3, 'x')).doubted()) << "4 bytes, cut";
  EXPECT_FALSE(Walk(Model("") + "\x35" + std::string(4, 'x')).doubted());
}

TEST(OnnxLayoutTest, DoubtsDeepNesting) {
  std::string graph;
  for (int i = 0; i < 200; ++i) graph = Field(1, Field(5, Field(6, graph)));
  EXPECT_TRUE(Walk(Model(graph)).doubted());
}

TEST(OnnxLayoutTest, DoubtsAFileOfZerosAtOnce) {
  const auto walk = Walk(test::SparseFile(std::uint64_t{1} << 40));
  EXPECT_TRUE(walk.doubted());
  EXPECT_EQ(walk.needs.size(), 1u);
}

}  // namespace
}  // namespace modelfs::index
