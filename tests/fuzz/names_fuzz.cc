// Names: of keys as files, and percent escapes.
#include "fetch/base/percent.h"
#include "fs/tree/names.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view raw = test::Text(data, size);
  if (const auto shown = fs::EscapeName(raw)) {
    test::Require(!shown->empty() && shown->size() <= fs::kMaxNameBytes, "a name has a length");
    test::Require(*shown != "." && *shown != "..", "a name is none of the dots");
    for (const char c : *shown) {
      const auto byte = static_cast<unsigned char>(c);
      test::Require(byte >= 0x20 && byte != 0x7F && c != '/', "a name can be shown");
    }
    test::Require(fs::UnescapeName(*shown) == raw, "a name leads back to its key");
  }
  test::Use(fs::UnescapeName(raw));
  for (const char c : Printable(raw)) {
    const auto byte = static_cast<unsigned char>(c);
    test::Require(byte >= 0x20 && byte != 0x7F, "printable text is printable");
  }
  return 0;
}
