#include "fetch/origin.h"

#include "fetch/base/percent.h"
#include "fetch/base/sha256.h"

namespace modelfs::fetch {
namespace {

void AppendNumber(std::string& out, std::uint64_t number) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(number >> shift));
}

void AppendField(std::string& out, std::string_view field) {
  AppendNumber(out, field.size());
  out.append(field);
}

}  // namespace

// Names objects on disk: a change here orphans every cache that exists.
std::string ObjectId::Digest() const {
  std::string fields;
  fields.reserve(domain.size() + source.size() + key.size() + tag.size() + 40);
  AppendField(fields, domain);
  AppendField(fields, source);
  AppendField(fields, key);
  AppendField(fields, tag);
  AppendNumber(fields, size_bytes);
  return Hex(Sha256(fields));
}

std::string ObjectId::Describe() const {
  std::string_view where = source;
  if (where.starts_with("s3://")) where = where.substr(0, where.find('@'));
  return Printable(where) + "/" + Printable(key);
}

}  // namespace modelfs::fetch
