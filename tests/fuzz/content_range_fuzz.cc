// Heads of answers: Content-Range beside a length, and dates.
#include "fetch/base/time_text.h"
#include "fetch/http/content_range.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = test::Text(data, size);
  test::Use(ParseHttpDate(text));
  test::Use(ParseIso8601(text));
  fetch::HttpResponse head;
  head.status = 206;
  head.headers = {{"content-range", std::string(test::TakePart(text))},
                  {"content-length", std::string(text)}};
  const auto got = fetch::StatedRange(head);
  if (!got) return 0;
  test::Require(got->range.begin < got->range.end && got->range.end <= got->total_bytes,
                "a range lies in its whole");
  test::Require(text.empty() || text == std::to_string(got->range.size()),
                "its length is that of the range");
  test::Require(!fetch::NotAskedFor(*got, got->range), "it answers a request for itself");
  return 0;
}
