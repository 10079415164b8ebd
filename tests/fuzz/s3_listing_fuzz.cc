// Pages of ListObjectsV2.
#include "fetch/s3/s3_list_parser.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto page = fetch::ParseS3ListPage(test::Text(data, size));
  if (!page) return 0;
  for (const auto& object : page->objects) {
    test::Require(!object.key.empty(), "every object has a key");
  }
  test::Require(!page->truncated || !page->next_token.empty(), "a page that goes on says where");
  return 0;
}
