#pragma once

#include <cstdint>
#include <optional>

namespace modelfs::index {

/// How ggml stores the elements of a tensor: so many of them, of one row, in so many bytes.
struct GgmlBlock {
  std::uint32_t elements = 1;
  std::uint32_t bytes = 1;
};

/// By the number that stands in a file; nullopt for types that were given up or are newer.
/// Source: gguf-py's GGML_QUANT_SIZES.
constexpr std::optional<GgmlBlock> GgmlBlockOf(std::uint32_t type) {
  switch (type) {
    case 0: return GgmlBlock{1, 4};       // F32
    case 1: return GgmlBlock{1, 2};       // F16
    case 2: return GgmlBlock{32, 18};     // Q4_0
    case 3: return GgmlBlock{32, 20};     // Q4_1
    case 6: return GgmlBlock{32, 22};     // Q5_0
    case 7: return GgmlBlock{32, 24};     // Q5_1
    case 8: return GgmlBlock{32, 34};     // Q8_0
    case 9: return GgmlBlock{32, 40};     // Q8_1
    case 10: return GgmlBlock{256, 84};   // Q2_K
    case 11: return GgmlBlock{256, 110};  // Q3_K
    case 12: return GgmlBlock{256, 144};  // Q4_K
    case 13: return GgmlBlock{256, 176};  // Q5_K
    case 14: return GgmlBlock{256, 210};  // Q6_K
    case 15: return GgmlBlock{256, 292};  // Q8_K
    case 16: return GgmlBlock{256, 66};   // IQ2_XXS
    case 17: return GgmlBlock{256, 74};   // IQ2_XS
    case 18: return GgmlBlock{256, 98};   // IQ3_XXS
    case 19: return GgmlBlock{256, 50};   // IQ1_S
    case 20: return GgmlBlock{32, 18};    // IQ4_NL
    case 21: return GgmlBlock{256, 110};  // IQ3_S
    case 22: return GgmlBlock{256, 82};   // IQ2_S
    case 23: return GgmlBlock{256, 136};  // IQ4_XS
    case 24: return GgmlBlock{1, 1};      // I8
    case 25: return GgmlBlock{1, 2};      // I16
    case 26: return GgmlBlock{1, 4};      // I32
    case 27:                              // I64
    case 28: return GgmlBlock{1, 8};      // F64
    case 29: return GgmlBlock{256, 56};   // IQ1_M
    case 30: return GgmlBlock{1, 2};      // BF16
    case 34: return GgmlBlock{256, 54};   // TQ1_0
    case 35: return GgmlBlock{256, 66};   // TQ2_0
    case 39: return GgmlBlock{32, 17};    // MXFP4
    case 40: return GgmlBlock{64, 36};    // NVFP4
    case 41: return GgmlBlock{128, 18};   // Q1_0
    default: return std::nullopt;
  }
}

}  // namespace modelfs::index
