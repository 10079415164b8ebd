// The messages of an ONNX file.
#include "tests/fuzz/layout_fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzLayout("m.onnx", test::WithZeros(data, size));
  return 0;
}
