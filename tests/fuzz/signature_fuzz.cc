// A model.sig: written by whoever can write to the model. Nothing is believed that nobody signed.
#include "fs/signature/signed_manifest.h"
#include "fs/signature/trust_anchor.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fs::TrustAnchor nobody;
  const std::string_view text = test::Text(data, size);
  test::Require(!fs::ReadBundle(text, nobody), "a bundle is believed though nobody is trusted");
  if (const auto manifest = fs::ReadStatement(text)) {
    for (const auto& [name, file] : manifest->files) {
      test::Require(!name.empty() && !file.algorithm.empty() && file.digest.size() >= 2,
                    "a file without a name or a digest");
    }
  }
  return 0;
}
