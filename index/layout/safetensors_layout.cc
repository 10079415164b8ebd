#include "index/layout/safetensors_layout.h"

#include <fmt/format.h>

#include "index/layout/json_visitor.h"
#include "index/layout/little_bytes.h"

namespace modelfs::index {
namespace {

constexpr std::uint64_t kLengthBytes = 8;

/// Gathers each tensor's "data_offsets"; whatever else is said of it does not matter.
class Header final : public JsonVisitor {
 public:
  /// `data`: where offsets count from, up to the end of the file.
  explicit Header(ByteRange data) : data_(data) {}

  std::vector<ByteRange> tensors;

 protected:
  bool Key(std::string& name) override {
    if (depth() == 1) tensor_ = name != "__metadata__";
    if (depth() == 2) offsets_ = tensor_ && name == "data_offsets";
    return true;
  }
  bool Text(std::string&) override { return Other(); }
  bool Number(std::uint64_t value) override {
    if (!offsets_) return Other();
    if (depth() != 3 || count_ == 2 || value > data_.size()) return false;
    (count_++ == 0 ? range_.begin : range_.end) = data_.begin + value;
    return true;
  }
  /// The root has nothing but objects, and offsets are numbers.
  bool Other() override { return depth() > 1 && !offsets_; }
  bool Open(bool array) override {
    if (depth() == 1) return !array;
    return !offsets_ || (depth() == 2 && array && count_ == 0);
  }
  bool Close() override {
    if (depth() == 2) offsets_ = false;
    if (depth() > 1 || !tensor_) return true;
    if (count_ != 2 || tensors.size() >= kMostLayoutParts) return false;
    tensors.push_back(range_);
    count_ = 0;
    return true;
  }

 private:
  const ByteRange data_;
  bool tensor_ = false;   ///< The key of the root that is being read names a tensor.
  bool offsets_ = false;  ///< The key within it is "data_offsets".
  int count_ = 0;
  ByteRange range_;
};

}  // namespace

LayoutStep SafetensorsLayout::Begin() {
  if (size_bytes_ <= kLengthBytes) return LayoutDoubt{"shorter than a safetensors header"};
  return LayoutNeed{{0, kLengthBytes}};
}

LayoutStep SafetensorsLayout::Feed(std::span<const std::byte> bytes) {
  return header_bytes_ == 0 ? ReadLength(bytes) : ReadHeader(bytes);
}

LayoutStep SafetensorsLayout::ReadLength(std::span<const std::byte> bytes) {
  LittleBytes in(bytes);
  const auto length = in.Number<std::uint64_t>();
  if (!in.ok() || length < 2 || length > kMostLayoutBytes - kLengthBytes ||
      length > size_bytes_ - kLengthBytes) {
    return LayoutDoubt{fmt::format("a safetensors header of {} bytes", length)};
  }
  header_bytes_ = length;
  return LayoutNeed{ByteRange::At(kLengthBytes, header_bytes_)};
}

LayoutStep SafetensorsLayout::ReadHeader(std::span<const std::byte> bytes) const {
  const std::uint64_t begin = kLengthBytes + header_bytes_;
  LittleBytes in(bytes);
  const std::string_view text = in.Text(header_bytes_);
  Header header({begin, size_bytes_});
  if (!text.starts_with('{') || !header.Visit(text)) {
    return LayoutDoubt{"the safetensors header is not understood"};
  }
  header.tensors.push_back({0, begin});
  return MakeLayout(std::move(header.tensors), size_bytes_);
}

}  // namespace modelfs::index
