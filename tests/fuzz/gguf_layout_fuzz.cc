// The head of a GGUF file, of a split model when it says so.
#include "tests/fuzz/layout_fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzLayout("m-00001-of-00003.gguf", test::WithZeros(data, size));
  return 0;
}
