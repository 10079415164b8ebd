#include "index/crc.h"

#include <gtest/gtest.h>

#include <string_view>

#include "tests/support/fake_origin.h"

namespace modelfs::index {
namespace {

using Kind = fetch::ChecksumKind;

class CrcTest : public ::testing::TestWithParam<Kind> {};

std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// "Check" values of the catalogue.
TEST(CrcKnownTest, MatchesTheCatalogue) {
  EXPECT_EQ(Crc::Of(Kind::kCrc64Nvme, AsBytes("123456789")), 0xAE8B14860A799888u);
  EXPECT_EQ(Crc::Of(Kind::kCrc32, AsBytes("123456789")), 0xCBF43926u);
  EXPECT_EQ(Crc::Of(Kind::kCrc32c, AsBytes("123456789")), 0xE3069283u);
  EXPECT_EQ(Crc::Of(Kind::kCrc32c, {}), 0u);
}

TEST_P(CrcTest, FoldingEqualsTheTable) {
  const auto bytes = test::MakeBytes(5, 5000);
  for (std::size_t begin = 0; begin < 20; ++begin) {
    for (std::size_t n : {0, 1, 7, 8, 15, 63, 64, 127, 128, 129, 191, 192, 1000, 4096, 4900}) {
      const auto part = std::span(bytes).subspan(begin, n);
      EXPECT_EQ(Crc::Of(GetParam(), part), Crc::OfByTable(GetParam(), part)) << begin << " " << n;
    }
  }
}

TEST_P(CrcTest, JoinsWhatWasSummedApart) {
  const auto bytes = test::MakeBytes(6, 300'000);
  const std::span all(bytes);
  for (std::size_t cut : {0u, 1u, 4096u, 262144u, 300'000u}) {
    const CrcJoin join(GetParam(), all.size() - cut);
    EXPECT_EQ(join(Crc::Of(GetParam(), all.first(cut)), Crc::Of(GetParam(), all.subspan(cut))),
              Crc::Of(GetParam(), all));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, CrcTest,
                         ::testing::Values(Kind::kCrc64Nvme, Kind::kCrc32, Kind::kCrc32c));

}  // namespace
}  // namespace modelfs::index
