#include "index/layout/json_visitor.h"

namespace modelfs::index {
namespace {

constexpr std::size_t kMostDepth = 16;

}  // namespace

bool JsonVisitor::Visit(std::string_view text) {
  // The library takes a NUL for the end, whatever follows.
  if (text.find('\0') != std::string_view::npos) return false;
  depth_ = 0;
  return nlohmann::json::sax_parse(text.begin(), text.end(),
                                   static_cast<nlohmann::json_sax<nlohmann::json>*>(this));
}

bool JsonVisitor::Enter(bool array) {
  if (depth_ == 0 ? array : !Open(array)) return false;
  return ++depth_ <= kMostDepth;
}

bool JsonVisitor::Leave() { return --depth_ == 0 || Close(); }

}  // namespace modelfs::index
