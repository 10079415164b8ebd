// The end and the directory of a zip archive.
#include "tests/fuzz/layout_fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzLayout("m.pt", test::SparseFile(std::string(test::Text(data, size))));
  return 0;
}
