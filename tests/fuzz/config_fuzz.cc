// Configuration: our TOML, the AWS files, URIs of sources.
#include "fetch/s3/aws_profile.h"
#include "fs/config/source_uri.h"
#include "fs/config/toml_file.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = test::Text(data, size);
  test::Use(fs::ParseToml(text, "fuzz.toml", "/etc"));
  if (const auto uri = fs::ParseSourceUri(text)) {
    const bool named = uri->scheme != fs::SourceUri::Scheme::kMlflow || !uri->name.empty();
    test::Require(!named || fs::CheckSourceName(uri->name).has_value(), "a source has a safe name");
  }
  const std::string_view credentials = test::TakePart(text);
  test::Use(fetch::ParseAwsProfile(credentials, text, "default"));
  return 0;
}
