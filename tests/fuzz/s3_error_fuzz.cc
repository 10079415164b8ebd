// Error documents of S3 and answers of STS: XML that names codes, regions and keys.
#include "fetch/credentials/keys_document.h"
#include "fetch/s3/s3_error.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = test::Text(data, size);
  if (text.empty()) return 0;
  fetch::HttpResponse response;
  response.status = 300 + static_cast<unsigned char>(text.front());
  text.remove_prefix(1);
  response.headers = {{"retry-after", std::string(test::TakePart(text))},
                      {"x-amz-retry-after", std::string(test::TakePart(text))},
                      {"x-amz-bucket-region", std::string(test::TakePart(text))}};
  response.body = text;
  const fetch::S3Error error = fetch::ParseS3Error(response);
  const fetch::S3Failure failure = fetch::ClassifyS3Error(response.status, error);
  test::Use(failure);
  test::Use(fetch::IsRegionError(response.status, error));
  const std::string line = fetch::DescribeS3Error("GET s3://b/k", response.status, error, {});
  for (const char c : line) {
    test::Require(static_cast<unsigned char>(c) >= 0x20, "a message is one line");
  }
  test::Use(fetch::ServerAsksToWait(response));
  test::Use(fetch::ParseKeysXml(response.body, "AssumeRole"));
  test::Use(fetch::ParseKeysJson(response.body));
  return 0;
}
