#include "index/layout/shard_index_layout.h"

#include <algorithm>
#include <string>
#include <unordered_set>

#include "fetch/base/relative_path.h"
#include "index/layout/json_visitor.h"

namespace modelfs::index {
namespace {

class WeightMap final : public JsonVisitor {
 public:
  bool found = false;
  std::unordered_set<std::string> shards;

 protected:
  bool Key(std::string& name) override {
    if (depth() == 1) inside_ = name == "weight_map";
    return true;
  }
  bool Text(std::string& value) override {
    if (!inside_) return true;
    if (depth() != 2 || !IsSafeRelativePath(value)) return false;
    shards.insert(std::move(value));
    return shards.size() <= kMostLayoutSiblings;
  }
  bool Number(std::uint64_t) override { return Other(); }
  bool Other() override { return !inside_; }
  bool Open(bool array) override {
    if (!inside_) return true;
    found = true;
    return depth() == 1 && !array;
  }
  bool Close() override { return true; }

 private:
  bool inside_ = false;  ///< The key of the root that is being read is "weight_map".
};

}  // namespace

LayoutStep ShardIndexLayout::Begin() {
  if (size_bytes_ > kMostLayoutBytes) return LayoutDoubt{"an index of shards that is too large"};
  return LayoutNeed{{0, size_bytes_}};
}

LayoutStep ShardIndexLayout::Feed(std::span<const std::byte> bytes) {
  WeightMap map;
  if (bytes.size() != size_bytes_ ||
      !map.Visit({reinterpret_cast<const char*>(bytes.data()), bytes.size()}) || !map.found) {
    return LayoutDoubt{"the index of shards is not understood"};
  }
  std::vector<std::string> siblings(map.shards.begin(), map.shards.end());
  std::ranges::sort(siblings);
  return MakeLayout({{0, size_bytes_}}, size_bytes_, std::move(siblings));
}

}  // namespace modelfs::index
