#include "index/layout/safetensors_layout.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tests/unit/index/layout/layout_walk.h"

namespace modelfs::index {
namespace {

test::LayoutWalk Walk(const std::string& header, std::uint64_t data_bytes = 100) {
  test::SparseFile file(8 + header.size() + data_bytes);
  file.Put(0, test::Little<std::uint64_t>(header.size()) + header);
  auto walk = test::WalkLayout("m.safetensors", file);
  EXPECT_EQ(walk.broken, "") << header.substr(0, 200);
  return walk;
}

std::string Tensor(std::string_view offsets) {
  return fmt::format(R"({{"dtype":"F32","shape":[2,3],"data_offsets":{}}})", offsets);
}

TEST(SafetensorsLayoutTest, PutsTensorsIntoTheOrderOfTheFile) {
  const std::string header =
      fmt::format(R"({{"__metadata__":{{"format":"pt"}},"b":{},"a":{},"none":{}}}   )",
                  Tensor("[60,100]"), Tensor("[0,60]"), Tensor("[60,60]"));
  const std::uint64_t begin = 8 + header.size();
  EXPECT_EQ(Walk(header).layout().parts,
            (std::vector<ByteRange>{{0, begin}, {begin, begin + 60}, {begin + 60, begin + 100}}));
}

TEST(SafetensorsLayoutTest, HeaderMayBeAllThereIs) {
  EXPECT_EQ(Walk("{}", 0).layout().parts, (std::vector<ByteRange>{{0, 10}}));
}

TEST(SafetensorsLayoutTest, IgnoresOffsetsThatBelongToNoTensor) {
  const auto header = fmt::format(
      R"({{"__metadata__":{{"data_offsets":"[0,9]"}},"a":{{"x":{{"data_offsets":[5]}},"data_offsets":[0,4]}}}})");
  EXPECT_EQ(Walk(header).layout().parts.size(), 2u);
}

TEST(SafetensorsLayoutTest, DoubtsOffsetsThatMakeNoSense) {
  for (const char* const offsets :
       {"[0,101]", "[101,101]", "[5,4]", "[0]", "[]", "[0,1,2]", "[-1,4]", "[0,4.0]", "[0,\"4\"]",
        "[[0,4]]", "{\"0\":4}", "4", "null", "\"x\"", "[0,18446744073709551615]",
        "[0,18446744073709551616]", "[0,4],\"data_offsets\":[4,8]"}) {
    EXPECT_TRUE(Walk("{\"a\":" + Tensor(offsets) + "}").doubted()) << offsets;
  }
  EXPECT_TRUE(Walk("{\"a\":" + Tensor("[0,50]") + ",\"b\":" + Tensor("[49,60]") + "}").doubted());
  EXPECT_TRUE(Walk(R"({"a":{"dtype":"F32"}})").doubted());
}

TEST(SafetensorsLayoutTest, DoubtsWhatIsNoHeader) {
  for (const std::string header :
       {"[]", "\"text\"", "17", "null", "{", "{}}", "{} x", " {}", "\xef\xbb\xbf{}", "{\"a\":1}",
        "{\"a\":[]}", "{\"a\":null}", "{\"a\":\"b\"}", "{\"\xff\":{}}", "{'a':{}}"}) {
    EXPECT_TRUE(Walk(header).doubted()) << header;
  }
  EXPECT_TRUE(Walk(std::string("{}\0", 3)).doubted());
}

TEST(SafetensorsLayoutTest, DoubtsLengthsBeforeItAsksForThem) {
  for (const std::uint64_t length :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{93}, kMostLayoutBytes, ~std::uint64_t{0},
        ~std::uint64_t{0} - 7, std::uint64_t{1} << 63}) {
    test::SparseFile file(100);
    file.Put(0, test::Little(length));
    const auto walk = test::WalkLayout("m.safetensors", file);
    EXPECT_TRUE(walk.doubted()) << length;
    EXPECT_EQ(walk.asked_bytes(), 8u) << length;
  }
  test::SparseFile large(kMostLayoutBytes * 2);
  large.Put(0, test::Little(kMostLayoutBytes - 7));
  EXPECT_EQ(test::WalkLayout("m.safetensors", large).asked_bytes(), 8u);
  EXPECT_EQ(test::WalkLayout("m.safetensors", test::SparseFile(8)).asked_bytes(), 0u);
}

TEST(SafetensorsLayoutTest, DoubtsDeepNesting) {
  const auto nested = [](std::size_t arrays) {
    return "{\"a\":{\"data_offsets\":[0,4],\"x\":" + std::string(arrays, '[') +
           std::string(arrays, ']') + "}}";
  };
  EXPECT_FALSE(Walk(nested(14)).doubted());
  EXPECT_TRUE(Walk(nested(15)).doubted());
  EXPECT_TRUE(Walk(nested(1'000'000)).doubted());
}

TEST(SafetensorsLayoutTest, ReadsAHundredThousandTensors) {
  constexpr std::uint64_t kTensors = 100'000;
  std::string header = "{";
  for (std::uint64_t i = kTensors; i-- > 0;) {
    header += fmt::format(
        R"("model.layers.{}.mlp.experts.{}.gate_up_proj.weight":{{"dtype":"BF16","shape":[4096,14336],"data_offsets":[{},{}]}}{})",
        i / 100, i % 100, i * 64, (i + 1) * 64, i == 0 ? "}" : ",");
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto walk = Walk(header, kTensors * 64);
  // 0.13 s on two cores in 2026; anything quadratic takes minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_EQ(walk.layout().parts.size(), kTensors + 1);
}

}  // namespace
}  // namespace modelfs::index
