#include "index/layout/gguf_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "fetch/base/relative_path.h"
#include "index/layout/ggml_type.h"

namespace modelfs::index {
namespace {

// The first need is what opening a file brings anyway; a vocabulary takes some MiB.
constexpr std::uint64_t kFirstNeedBytes = 1u << 20;
constexpr std::uint64_t kMostNeedBytes = 8u << 20;
constexpr std::uint64_t kMostNameBytes = 65'535;
constexpr std::uint32_t kMostDimensions = 8;

constexpr std::uint32_t kUint16 = 2, kUint32 = 4, kText = 8, kArray = 9;

/// Of a value whose size its type tells; 0 for the others.
std::uint64_t BytesOf(std::uint32_t type) {
  switch (type) {
    case 0:
    case 1:
    case 7: return 1;  // uint8, int8, bool
    case 2:
    case 3: return 2;  // uint16, int16
    case 4:
    case 5:
    case 6: return 4;  // uint32, int32, float32
    case 10:
    case 11:
    case 12: return 8;  // uint64, int64, float64
    default: return 0;
  }
}

/// "a-00002-of-00003.gguf" and so on, when `name` is that of the first of `files`.
std::vector<std::string> OtherFiles(std::string_view name, std::uint64_t files) {
  const std::string end = fmt::format("-00001-of-{:05}.gguf", files);
  std::vector<std::string> others;
  if (files < 2 || files > 99'999 || !name.ends_with(end)) return others;
  name.remove_suffix(end.size());
  name.remove_prefix(name.rfind('/') + 1);
  for (std::uint64_t i = 2; i <= files; ++i) {
    others.push_back(fmt::format("{}-{:05}-of-{:05}.gguf", name, i, files));
    if (!IsSafeRelativePath(others.back())) return {};
  }
  return others;
}

}  // namespace

GgufLayout::GgufLayout(std::string_view name, std::uint64_t size_bytes)
    : name_(name),
      size_bytes_(size_bytes),
      window_(std::min(size_bytes, kMostLayoutBytes)),
      next_need_bytes_(kFirstNeedBytes) {}

LayoutStep GgufLayout::Begin() { return Ask(); }

LayoutStep GgufLayout::Feed(std::span<const std::byte> bytes) {
  if (!window_.Add(bytes)) return LayoutDoubt{"other bytes than were asked for"};
  for (;;) {
    if (stage_ == Stage::kPairs && pairs_left_ == 0) stage_ = Stage::kTensors;
    if (stage_ == Stage::kTensors && tensors_left_ == 0) return Place();
    switch (ReadItem()) {
      case Outcome::kOn: break;
      case Outcome::kShort: return Ask();
      case Outcome::kBad: return LayoutDoubt{std::move(why_)};
    }
  }
}

LayoutStep GgufLayout::Ask() {
  const auto range = window_.Next(next_need_bytes_);
  if (!range) return LayoutDoubt{"the GGUF head does not end"};
  next_need_bytes_ = std::min(next_need_bytes_ * 2, kMostNeedBytes);
  return LayoutNeed{*range};
}

GgufLayout::Outcome GgufLayout::ReadItem() {
  switch (stage_) {
    case Stage::kCounts: return ReadCounts();
    case Stage::kPairs: return ReadPair();
    case Stage::kTexts: return ReadTexts();
    case Stage::kTensors: return ReadTensor();
  }
  std::unreachable();
}

/// Goes behind what was taken, and `more_bytes` that nobody looks at.
GgufLayout::Outcome GgufLayout::Pass(const LittleBytes& in, std::uint64_t more_bytes) {
  if (!in.ok()) return Outcome::kShort;
  if (!window_.Skip(in.taken()) || !window_.Skip(more_bytes)) {
    return Bad("the GGUF head is too long");
  }
  return Outcome::kOn;
}

GgufLayout::Outcome GgufLayout::Bad(std::string why) {
  why_ = std::move(why);
  return Outcome::kBad;
}

GgufLayout::Outcome GgufLayout::ReadCounts() {
  LittleBytes in(window_.ahead());
  const bool magic = in.Text(4) == "GGUF";
  const auto version = in.Number<std::uint32_t>();
  tensors_left_ = in.Number<std::uint64_t>();
  pairs_left_ = in.Number<std::uint64_t>();
  if (!in.ok()) return Outcome::kShort;
  if (!magic || version < 2 || version > 3) return Bad("no GGUF file of version 2 or 3");
  if (tensors_left_ > kMostLayoutParts) return Bad("too many GGUF tensors");
  stage_ = Stage::kPairs;
  return Pass(in);
}

GgufLayout::Outcome GgufLayout::ReadPair() {
  LittleBytes in(window_.ahead());
  const auto key_bytes = in.Number<std::uint64_t>();
  if (key_bytes > kMostNameBytes) return Bad("a GGUF key that is too long");
  const std::string_view key = in.Text(key_bytes);
  const auto type = in.Number<std::uint32_t>();
  if (!in.ok()) return Outcome::kShort;
  if (type == kArray) return ReadArray(in);
  std::uint64_t more_bytes = 0;
  if (type == kText) {
    more_bytes = in.Number<std::uint64_t>();
  } else if (key == "general.alignment") {
    if (type != kUint32) return Bad("a GGUF alignment of another type");
    const auto alignment = in.Number<std::uint32_t>();
    if (!in.ok()) return Outcome::kShort;
    if (!std::has_single_bit(alignment)) return Bad("a GGUF alignment that is no power of two");
    alignment_ = alignment;
  } else if (key == "split.count" && type == kUint16) {
    files_ = in.Number<std::uint16_t>();
  } else {
    more_bytes = BytesOf(type);
    if (more_bytes == 0) return Bad("a GGUF value of unknown type");
  }
  const Outcome outcome = Pass(in, more_bytes);
  if (outcome == Outcome::kOn) --pairs_left_;
  return outcome;
}

GgufLayout::Outcome GgufLayout::ReadArray(LittleBytes& in) {
  const auto type = in.Number<std::uint32_t>();
  const auto count = in.Number<std::uint64_t>();
  if (!in.ok()) return Outcome::kShort;
  if (count > window_.limit()) return Bad("a GGUF array that is too long");
  const std::uint64_t bytes = BytesOf(type);
  // llama.cpp knows no arrays of arrays.
  if (bytes == 0 && type != kText) return Bad("a GGUF array of unknown type");
  const Outcome outcome = Pass(in, bytes * count);
  if (outcome != Outcome::kOn) return outcome;
  --pairs_left_;
  if (type == kText) {
    texts_left_ = count;
    stage_ = Stage::kTexts;
  }
  return outcome;
}

GgufLayout::Outcome GgufLayout::ReadTexts() {
  if (texts_left_ == 0) {
    stage_ = Stage::kPairs;
    return Outcome::kOn;
  }
  LittleBytes in(window_.ahead());
  const auto length = in.Number<std::uint64_t>();
  const Outcome outcome = Pass(in, length);
  if (outcome == Outcome::kOn) --texts_left_;
  return outcome;
}

GgufLayout::Outcome GgufLayout::ReadTensor() {
  LittleBytes in(window_.ahead());
  const auto name_bytes = in.Number<std::uint64_t>();
  if (name_bytes > kMostNameBytes) return Bad("a GGUF tensor's name that is too long");
  in.Skip(name_bytes);
  const auto dimensions = in.Number<std::uint32_t>();
  if (dimensions > kMostDimensions) return Bad("a GGUF tensor of too many dimensions");
  std::uint64_t elements = 1, row = 1;
  bool fits = true;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    const auto length = in.Number<std::uint64_t>();
    if (i == 0) row = length;
    fits = !__builtin_mul_overflow(elements, length, &elements) && fits;
  }
  const auto block = GgmlBlockOf(in.Number<std::uint32_t>());
  const auto offset = in.Number<std::uint64_t>();
  if (!in.ok()) return Outcome::kShort;
  Tensor tensor{.offset = offset, .sized = block || elements == 0};
  if (block && fits) {
    fits = row % block->elements == 0 &&
           !__builtin_mul_overflow(elements / block->elements, block->bytes, &tensor.size_bytes);
  }
  if (!fits || offset % alignment_ != 0) return Bad("a GGUF tensor that makes no sense");
  tensors_.push_back(tensor);
  --tensors_left_;
  return Pass(in);
}

LayoutStep GgufLayout::Place() {
  std::vector<ByteRange> parts{{0, window_.position()}};
  const std::uint64_t data = (window_.position() + alignment_ - 1) / alignment_ * alignment_;
  const std::uint64_t data_bytes = size_bytes_ - std::min(size_bytes_, data);
  std::ranges::sort(tensors_, {}, &Tensor::offset);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    Tensor& tensor = tensors_[i];
    if (tensor.offset > data_bytes) return LayoutDoubt{"a GGUF tensor behind the end"};
    if (!tensor.sized) {
      const std::uint64_t end = i + 1 < tensors_.size() ? tensors_[i + 1].offset : data_bytes;
      if (end <= tensor.offset) return LayoutDoubt{"GGUF tensors overlap"};
      tensor.size_bytes = end - tensor.offset;
    }
    if (tensor.size_bytes > data_bytes - tensor.offset) {
      return LayoutDoubt{"a GGUF tensor beyond the end"};
    }
    parts.push_back(ByteRange::At(data + tensor.offset, tensor.size_bytes));
  }
  return MakeLayout(std::move(parts), size_bytes_, OtherFiles(name_, files_));
}

}  // namespace modelfs::index
