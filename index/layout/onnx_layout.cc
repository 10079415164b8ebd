#include "index/layout/onnx_layout.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "fetch/base/relative_path.h"

namespace modelfs::index {
namespace {

// The first need is what opening a file brings anyway. Behind a jump a tensor's description
// follows.
constexpr std::uint64_t kFirstNeedBytes = 1u << 20;
constexpr std::uint64_t kMostNeedBytes = 8u << 20;
constexpr std::uint64_t kJumpNeedBytes = 64u << 10;
constexpr int kMostNeeds = 40;
constexpr std::size_t kMostFrames = 100;  ///< As deep as protobuf itself goes.
constexpr std::uint64_t kMostTextBytes = 4096;

constexpr std::uint64_t kDataLocation = 14, kIsExternal = 1;

/// A base-128 number at `at`, which moves behind it. Nullopt when the bytes end within it; `bad`
/// when it is longer than 64 bits are.
std::optional<std::uint64_t> Varint(std::span<const std::byte> bytes, std::size_t& at, bool& bad) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; at < bytes.size(); shift += 7) {
    if (shift > 63) {
      bad = true;
      return std::nullopt;
    }
    const auto byte = std::to_integer<std::uint64_t>(bytes[at++]);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

/// Written with "./" or without.
std::string_view Plain(std::string_view location) {
  while (location.starts_with("./")) location.remove_prefix(2);
  return location;
}

}  // namespace

OnnxLayout::OnnxLayout(std::uint64_t size_bytes)
    : size_bytes_(size_bytes),
      window_(size_bytes),
      next_need_bytes_(kFirstNeedBytes),
      frames_{{Message::kModel, size_bytes}} {}

LayoutStep OnnxLayout::Begin() { return Ask(); }

LayoutStep OnnxLayout::Feed(std::span<const std::byte> bytes) {
  if (!window_.Add(bytes)) return LayoutDoubt{"other bytes than were asked for"};
  for (;;) {
    while (!frames_.empty() && window_.position() == frames_.back().end) {
      const Message message = frames_.back().message;
      frames_.pop_back();
      if (!Close(message)) return LayoutDoubt{"ONNX data at a place that is not safe"};
    }
    if (frames_.empty()) break;
    switch (ReadField()) {
      case Outcome::kOn: break;
      case Outcome::kShort: return Ask();
      case Outcome::kBad: return LayoutDoubt{"the ONNX file is not understood"};
    }
  }
  if (!graph_) return LayoutDoubt{"no ONNX model"};
  return MakeLayout({{0, size_bytes_}}, size_bytes_, std::move(siblings_));
}

LayoutStep OnnxLayout::Ask() {
  if (window_.jumped()) next_need_bytes_ = kJumpNeedBytes;
  const auto range = window_.Next(next_need_bytes_);
  if (!range || ++needs_ > kMostNeeds) return LayoutDoubt{"an ONNX file that takes too much"};
  next_need_bytes_ = std::min(next_need_bytes_ * 2, kMostNeedBytes);
  return LayoutNeed{*range};
}

/// Whether `field` of the message `in` is a message that leads to tensors: `child`.
bool OnnxLayout::Child(Message in, std::uint64_t field, Message& child) {
  const auto is = [&](std::uint64_t number, Message message) {
    if (field != number) return false;
    child = message;
    return true;
  };
  using enum Message;
  switch (in) {
    case kModel: return is(7, kGraph) || is(20, kTraining) || is(25, kFunction);
    case kTraining: return is(1, kGraph) || is(2, kGraph);
    case kGraph: return is(1, kNode) || is(5, kTensor) || is(15, kSparse);
    case kFunction: return is(7, kNode) || is(11, kAttribute);
    case kNode: return is(5, kAttribute);
    case kAttribute:
      return is(5, kTensor) || is(6, kGraph) || is(10, kTensor) || is(11, kGraph) ||
             is(22, kSparse) || is(23, kSparse);
    case kSparse: return is(1, kTensor) || is(2, kTensor);
    case kTensor: return is(13, kExternal);
    case kExternal: return false;
  }
  std::unreachable();
}

OnnxLayout::Outcome OnnxLayout::ReadField() {
  const std::uint64_t room = frames_.back().end - window_.position();
  const auto bytes = window_.ahead();
  std::size_t at = 0;
  bool bad = false;
  const auto key = Varint(bytes, at, bad);
  if (!key) return bad ? Outcome::kBad : Outcome::kShort;
  const std::uint64_t field = *key >> 3;
  if (field == 0) return Outcome::kBad;
  std::uint64_t length = 0;
  switch (*key & 7) {
    case 0: {
      const auto value = Varint(bytes, at, bad);
      if (!value) return bad ? Outcome::kBad : Outcome::kShort;
      if (frames_.back().message == Message::kTensor && field == kDataLocation) {
        external_ = *value == kIsExternal;
      }
      break;
    }
    case 1: length = 8; break;
    case 2: {
      const auto value = Varint(bytes, at, bad);
      if (!value) return bad ? Outcome::kBad : Outcome::kShort;
      if (at > room || *value > room - at) return Outcome::kBad;
      return ReadDelimited(field, at, *value);
    }
    case 5: length = 4; break;
    default: return Outcome::kBad;  // Groups were never used.
  }
  if (at + length > room) return Outcome::kBad;
  return window_.Skip(at + length) ? Outcome::kOn : Outcome::kBad;
}

/// A field whose `length` bytes follow on the `taken_bytes` that told of it; all within the frame.
OnnxLayout::Outcome OnnxLayout::ReadDelimited(std::uint64_t field, std::uint64_t taken_bytes,
                                              std::uint64_t length) {
  const Message in = frames_.back().message;
  Message child{};
  if (Child(in, field, child)) {
    if (frames_.size() >= kMostFrames) return Outcome::kBad;
    if (!window_.Skip(taken_bytes)) return Outcome::kBad;
    frames_.push_back({child, window_.position() + length});
    if (child == Message::kGraph) graph_ = true;
    if (child == Message::kTensor) {
      external_ = false;
      location_.clear();
    }
    if (child == Message::kExternal) {
      location_key_ = false;
      value_.clear();
    }
    return Outcome::kOn;
  }
  if (in == Message::kExternal && (field == 1 || field == 2)) {
    if (length > kMostTextBytes) return Outcome::kBad;
    const auto bytes = window_.ahead();
    if (taken_bytes + length > bytes.size()) return Outcome::kShort;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + taken_bytes,
                                static_cast<std::size_t>(length));
    if (field == 1) location_key_ = text == "location";
    if (field == 2) value_ = text;
  }
  return window_.Skip(taken_bytes + length) ? Outcome::kOn : Outcome::kBad;
}

/// False when what was closed names a place that is not safe.
bool OnnxLayout::Close(Message message) {
  if (message == Message::kExternal && location_key_) location_ = Plain(value_);
  if (message != Message::kTensor || !external_) return true;
  external_ = false;
  if (!IsSafeRelativePath(location_)) return false;
  if (known_.insert(location_).second) siblings_.push_back(std::move(location_));
  return siblings_.size() <= kMostLayoutSiblings;
}

}  // namespace modelfs::index
