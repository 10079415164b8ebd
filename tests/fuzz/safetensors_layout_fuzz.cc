// The head of a safetensors file.
#include "tests/fuzz/layout_fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzLayout("m.safetensors", test::WithZeros(data, size));
  return 0;
}
