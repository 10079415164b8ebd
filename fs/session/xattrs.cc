#include "fs/session/xattrs.h"

namespace modelfs::fs {
namespace {

using namespace std::string_view_literals;

std::string_view Word(index::Verified verified) {
  switch (verified) {
    case index::Verified::kNo: return "no";
    case index::Verified::kSelf: return "self";
    case index::Verified::kOrigin: return "origin";
  }
  return "no";
}

}  // namespace

std::string_view XattrNames() {
  return "user.modelfs.source\0user.modelfs.etag\0user.modelfs.size\0"
         "user.modelfs.cached\0user.modelfs.verified\0"
         "user.modelfs.signature\0"sv;
}

std::optional<std::string> XattrValue(std::string_view name, const fetch::ObjectId& id,
                                      const std::optional<index::ObjectStatus>& status) {
  if (name == "user.modelfs.source") return id.Describe();
  if (name == "user.modelfs.etag") return id.tag;
  if (name == "user.modelfs.size") return std::to_string(id.size_bytes);
  if (name == "user.modelfs.cached") return std::to_string(status ? status->cached_bytes : 0);
  if (name == "user.modelfs.verified") {
    return std::string(Word(status ? status->verified : index::Verified::kNo));
  }
  return std::nullopt;
}

}  // namespace modelfs::fs
