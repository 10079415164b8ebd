// Values in the index: objects of both formats, listings, answers of registries, node records.
// An odd first byte asks for the checksum at the end of the rest, or nearly no listing would be
// one.
#include <xxhash.h>

#include <span>
#include <string>

#include "fs/tree/listing_record.h"
#include "fs/tree/node_record.h"
#include "fs/tree/registry_records.h"
#include "index/index_record.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string text(test::Text(data, size).substr(1));
  if ((data[0] & 1) != 0) {
    const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
    text.append(reinterpret_cast<const char*>(&hash), sizeof hash);
  }
  const auto bytes = std::as_bytes(std::span(text));
  if (const auto object = index::DecodeObject(bytes)) {
    const auto again = index::EncodeObject(*object);
    const auto twice = index::DecodeObject(again);
    test::Require(twice && index::EncodeObject(*twice) == again, "an object is kept as it is");
  }
  test::Use(index::DecodeObjectOfFormat1(bytes));
  if (const auto listing = fs::DecodeListing(text)) {
    const auto again = fs::DecodeListing(fs::EncodeListing(*listing));
    test::Require(again && again->entries.size() == listing->entries.size(),
                  "a listing is kept as it is");
  }
  test::Use(fs::ListingStamp::Decode(text));
  if (const auto models = fs::DecodeModels(text)) {
    const auto again = fs::DecodeModels(fs::EncodeModels(*models));
    test::Require(again && again->size() == models->size(), "models are kept as they are");
  }
  if (const auto versions = fs::DecodeVersions(text)) {
    const auto again = fs::DecodeVersions(fs::EncodeVersions(*versions));
    test::Require(again && again->size() == versions->size(), "versions are kept as they are");
  }
  if (const auto manifest = fs::DecodeManifest(text)) {
    const auto again = fs::DecodeManifest(fs::EncodeManifest(*manifest));
    test::Require(again && again->files.size() == manifest->files.size(),
                  "a manifest is kept as it is");
  }
  if (const auto node = fs::DecodeNodeRecord(text)) {
    const std::string again = fs::EncodeNodeRecord(*node);
    const auto twice = fs::DecodeNodeRecord(again);
    test::Require(twice && fs::EncodeNodeRecord(*twice) == again, "a node record is kept as it is");
  }
  return 0;
}
