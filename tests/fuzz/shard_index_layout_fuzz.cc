// The index of a model in shards.
#include "tests/fuzz/layout_fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzLayout("model.safetensors.index.json", test::WithZeros(data, size));
  return 0;
}
