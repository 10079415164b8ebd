#include "index/layout/gguf_layout.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/index/layout/layout_walk.h"

namespace modelfs::index {
namespace {

using test::Little;

std::string Text(std::string_view text) {
  return Little<std::uint64_t>(text.size()) + std::string(text);
}

/// The head of a file, in the pieces of which it is made.
struct Gguf {
  std::uint32_t version = 3;
  std::vector<std::string> pairs;
  std::vector<std::string> tensors;

  template <class T>
  void Pair(std::string_view key, std::uint32_t type, T value) {
    pairs.push_back(Text(key) + Little(type) + Little(value));
  }
  void Texts(std::string_view key, std::uint64_t count, std::string_view text) {
    std::string pair =
        Text(key) + Little<std::uint32_t>(9) + Little<std::uint32_t>(8) + Little(count);
    for (std::uint64_t i = 0; i < count; ++i) pair += Text(text);
    pairs.push_back(std::move(pair));
  }
  void Tensor(std::vector<std::uint64_t> shape, std::uint32_t type, std::uint64_t offset) {
    std::string tensor = Text("t") + Little(static_cast<std::uint32_t>(shape.size()));
    for (const std::uint64_t length : shape) tensor += Little(length);
    tensors.push_back(tensor + Little(type) + Little(offset));
  }

  std::string Head() const {
    std::string head = "GGUF" + Little(version) + Little<std::uint64_t>(tensors.size()) +
                       Little<std::uint64_t>(pairs.size());
    for (const std::string& pair : pairs) head += pair;
    for (const std::string& tensor : tensors) head += tensor;
    return head;
  }
  /// Where data begin, when they are aligned to 32.
  std::uint64_t Data() const { return (Head().size() + 31) / 32 * 32; }
};

test::LayoutWalk Walk(const std::string& head, std::uint64_t size_bytes) {
  test::SparseFile file(size_bytes);
  file.Put(0, head.substr(0, size_bytes));
  auto walk = test::WalkLayout("m.gguf", file);
  EXPECT_EQ(walk.broken, "");
  return walk;
}

test::LayoutWalk Walk(const Gguf& gguf, std::uint64_t data_bytes) {
  return Walk(gguf.Head(), gguf.Data() + data_bytes);
}

constexpr std::uint32_t kF32 = 0, kQ8 = 8, kUnknown = 777;

TEST(GgufLayoutTest, PutsTensorsIntoTheOrderOfTheFile) {
  for (const std::uint32_t version : {2u, 3u}) {
    Gguf gguf{.version = version};
    gguf.Tensor({64, 2}, kQ8, 64);
    gguf.Tensor({10}, kF32, 0);
    gguf.Tensor({0, 5}, kF32, 64);
    const std::uint64_t data = gguf.Data();
    EXPECT_EQ(Walk(gguf, 200).layout().parts,
              (std::vector<ByteRange>{
                  {0, gguf.Head().size()}, {data, data + 40}, {data + 64, data + 64 + 136}}));
  }
}

TEST(GgufLayoutTest, TensorsOfUnknownTypesReachToTheNext) {
  Gguf gguf;
  gguf.Tensor({10}, kUnknown, 96);
  gguf.Tensor({10}, kUnknown, 32);
  gguf.Tensor({1}, kF32, 0);
  const std::uint64_t data = gguf.Data();
  EXPECT_EQ(Walk(gguf, 200).layout().parts, (std::vector<ByteRange>{{0, gguf.Head().size()},
                                                                    {data, data + 4},
                                                                    {data + 32, data + 96},
                                                                    {data + 96, data + 200}}));
  gguf.Tensor({1}, kUnknown, 96);
  EXPECT_TRUE(Walk(gguf, 200).doubted());
}

TEST(GgufLayoutTest, PassesOverEveryTypeOfValue) {
  Gguf gguf;
  for (const std::uint32_t type : {0u, 1u, 7u}) gguf.Pair("a", type, std::uint8_t{1});
  for (const std::uint32_t type : {2u, 3u}) gguf.Pair("b", type, std::uint16_t{1});
  for (const std::uint32_t type : {4u, 5u, 6u}) gguf.Pair("c", type, std::uint32_t{1});
  for (const std::uint32_t type : {10u, 11u, 12u}) gguf.Pair("d", type, std::uint64_t{1});
  gguf.pairs.push_back(Text("e") + Little<std::uint32_t>(8) + Text("text"));
  gguf.pairs.push_back(Text("f") + Little<std::uint32_t>(9) + Little<std::uint32_t>(2) +
                       Little<std::uint64_t>(3) + "aabbcc");
  gguf.Texts("g", 3, "word");
  gguf.Texts("h", 0, "");
  gguf.Tensor({10}, kF32, 0);
  EXPECT_EQ(Walk(gguf, 40).layout().parts.size(), 2u);
}

TEST(GgufLayoutTest, FollowsTheAlignment) {
  Gguf gguf;
  gguf.Pair("general.alignment", 4, std::uint32_t{4096});
  gguf.Tensor({10}, kF32, 4096);
  EXPECT_EQ(Walk(gguf.Head(), 10'000).layout().parts.back(), (ByteRange{8192, 8232}));
  for (const std::uint32_t bad : {0u, 3u, 48u}) {
    Gguf other;
    other.Pair("general.alignment", 4, bad);
    EXPECT_TRUE(Walk(other, 100).doubted()) << bad;
  }
  Gguf other;
  other.Pair("general.alignment", 10, std::uint64_t{32});
  EXPECT_TRUE(Walk(other, 100).doubted());
}

TEST(GgufLayoutTest, AsksForMoreUntilTheHeadEnds) {
  Gguf gguf;
  gguf.Texts("tokenizer.ggml.tokens", 500'000, "fifteen letters");
  gguf.Tensor({10}, kF32, 0);
  const auto walk = Walk(gguf, 50u << 20);
  EXPECT_EQ(walk.layout().parts.size(), 2u);
  EXPECT_GE(walk.needs.size(), 3u);
  EXPECT_LE(walk.needs.size(), 6u);
  EXPECT_LT(walk.asked_bytes(), gguf.Head().size() * 3);
  EXPECT_EQ(walk.needs.front(), (ByteRange{0, 1u << 20}));
}

TEST(GgufLayoutTest, JumpsOverLongValues) {
  const std::uint64_t long_bytes = 20u << 20;
  const std::string before = "GGUF" + Little<std::uint32_t>(3) + Little<std::uint64_t>(0) +
                             Little<std::uint64_t>(1) + Text("k") + Little<std::uint32_t>(8) +
                             Little(long_bytes);
  const auto walk = Walk(before, 30u << 20);
  EXPECT_EQ(walk.layout().parts, (std::vector<ByteRange>{{0, before.size() + long_bytes}}));
  EXPECT_EQ(walk.asked_bytes(), 1u << 20);
}

TEST(GgufLayoutTest, DoubtsTensorsThatMakeNoSense) {
  const auto doubted = [](std::vector<std::uint64_t> shape, std::uint32_t type,
                          std::uint64_t offset) {
    Gguf gguf;
    gguf.Tensor({8}, kF32, 0);
    gguf.Tensor(std::move(shape), type, offset);
    return Walk(gguf, 200).doubted();
  };
  EXPECT_FALSE(doubted({8}, kF32, 32));
  EXPECT_TRUE(doubted({8}, kF32, 0)) << "both at one place";
  EXPECT_TRUE(doubted({8}, kF32, 33)) << "not aligned";
  EXPECT_TRUE(doubted({8}, kF32, 192)) << "reaches beyond the end";
  EXPECT_TRUE(doubted({8}, kF32, 1u << 20)) << "begins behind the end";
  EXPECT_TRUE(doubted({8}, kUnknown, 1u << 20));
  EXPECT_TRUE(doubted({8}, kF32, ~std::uint64_t{31}));
  EXPECT_TRUE(doubted({8}, kQ8, 32)) << "no whole block";
  EXPECT_TRUE(doubted({1u << 31, 1u << 31, 1u << 31}, kF32, 32)) << "more than 64 bits";
  EXPECT_TRUE(doubted({std::uint64_t{1} << 62}, kF32, 32)) << "more bytes than 64 bits";
  EXPECT_TRUE(doubted(std::vector<std::uint64_t>(9, 1), kF32, 32)) << "too many dimensions";
}

TEST(GgufLayoutTest, DoubtsWhatIsNoHead) {
  const std::string end(100, '\0');
  for (const std::uint32_t version : {0u, 1u, 4u, 0x03000000u}) {
    EXPECT_TRUE(Walk(Gguf{.version = version}, 100).doubted()) << version;
  }
  EXPECT_TRUE(Walk("GGUX" + Gguf().Head().substr(4), 100).doubted());
  const auto pair = [&](const std::string& bytes) {
    const std::string head = "GGUF" + Little<std::uint32_t>(3) + Little<std::uint64_t>(0) +
                             Little<std::uint64_t>(1) + bytes;
    return Walk(head, head.size() + 1000);
  };
  EXPECT_FALSE(pair(Text("k") + Little<std::uint32_t>(4) + end).doubted());
  EXPECT_TRUE(pair(Text("k") + Little<std::uint32_t>(13) + end).doubted());
  for (const std::size_t key_bytes : {65'535u, 65'536u}) {
    EXPECT_EQ(pair(Text(std::string(key_bytes, 'k')) + Little<std::uint32_t>(0) + end).doubted(),
              key_bytes > 65'535);
  }
  EXPECT_TRUE(pair(Little(~std::uint64_t{0}) + end).doubted());
  EXPECT_TRUE(pair(Text("k") + Little<std::uint32_t>(8) + Little(~std::uint64_t{0})).doubted());
  for (const std::uint32_t type : {0u, 8u, 12u}) {
    EXPECT_TRUE(
        pair(Text("k") + Little<std::uint32_t>(9) + Little(type) + Little(std::uint64_t{1} << 61))
            .doubted());
  }
  // Arrays of arrays.
  EXPECT_TRUE(pair(Text("k") + Little<std::uint32_t>(9) + Little<std::uint32_t>(9) +
                   Little<std::uint64_t>(1) + Little<std::uint32_t>(0) + Little<std::uint64_t>(1))
                  .doubted());
}

TEST(GgufLayoutTest, DoubtsCountsThatTheHeadCannotHold) {
  for (const std::uint64_t count :
       {std::uint64_t{1}, std::uint64_t{1'000'000}, kMostLayoutBytes, ~std::uint64_t{0}}) {
    const std::string tensors =
        "GGUF" + Little<std::uint32_t>(3) + Little(count) + Little<std::uint64_t>(0);
    const std::string pairs =
        "GGUF" + Little<std::uint32_t>(3) + Little<std::uint64_t>(0) + Little(count);
    EXPECT_TRUE(Walk(tensors, tensors.size()).doubted()) << count;
    EXPECT_TRUE(Walk(pairs, pairs.size()).doubted()) << count;
  }
}

TEST(GgufLayoutTest, DoubtsTooManyTensorsAtOnce) {
  const std::string head = "GGUF" + Little<std::uint32_t>(3) +
                           Little<std::uint64_t>(kMostLayoutParts + 1) + Little<std::uint64_t>(0);
  const auto walk = Walk(head, std::uint64_t{1} << 40);
  EXPECT_TRUE(walk.doubted());
  EXPECT_EQ(walk.needs.size(), 1u);
}

TEST(GgufLayoutTest, GivesUpAHeadThatDoesNotEnd) {
  // Zeros are pairs with an empty key and a byte, without end.
  const std::string head =
      "GGUF" + Little<std::uint32_t>(3) + Little<std::uint64_t>(0) + Little(~std::uint64_t{0});
  const auto walk = Walk(head, std::uint64_t{1} << 40);
  EXPECT_TRUE(walk.doubted());
  EXPECT_EQ(walk.asked_bytes(), kMostLayoutBytes);
}

TEST(GgufLayoutTest, BelievesASplitOnlyWhenItsNameSaysSo) {
  Gguf gguf;
  gguf.Pair("split.count", 2, std::uint16_t{2});
  const auto siblings = [&](const char* name) {
    return test::WalkLayout(name, test::SparseFile(gguf.Head())).layout().siblings;
  };
  EXPECT_EQ(siblings("a/m-00001-of-00002.gguf"), std::vector<std::string>{"m-00002-of-00002.gguf"});
  EXPECT_EQ(siblings("m-00002-of-00002.gguf"), std::vector<std::string>{});
  EXPECT_EQ(siblings("m-00001-of-00003.gguf"), std::vector<std::string>{});
  EXPECT_EQ(siblings("m.gguf"), std::vector<std::string>{});
}

}  // namespace
}  // namespace modelfs::index
