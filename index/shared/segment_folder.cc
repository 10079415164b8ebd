#include "index/shared/segment_folder.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

namespace modelfs::index::shared {
namespace {

/// Enough for the sums of 64 MiB at 256 KiB a block, in one read.
constexpr std::uint64_t kTailBytes = 4096;
constexpr std::size_t kHolderBytes = 128;

template <class Number>
std::optional<Number> NumberOf(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

/// Domains are hashes in hex; whatever else one may be, it is one folder.
std::string Safe(const std::string& domain) {
  const bool plain = !domain.empty() && domain.size() <= 64 &&
                     std::ranges::all_of(domain, [](unsigned char c) { return std::isalnum(c); });
  return plain ? domain : Hex(Sha256(domain)).substr(0, 32);
}

}  // namespace

Result<void> OpenSegment::ReadBlock(std::uint64_t block, std::span<std::byte> dst) const {
  auto n = file_->Read(block * trailer_.block_bytes, dst);
  if (!n) return std::unexpected(std::move(n.error()));
  if (*n != dst.size()) return Fail(Errc::kIo, "read of a segment: it is shorter than it was");
  if (block >= trailer_.sums.size() ||
      XXH3_64bits(dst.data(), dst.size()) != trailer_.sums[block]) {
    return Fail(Errc::kCorrupt, fmt::format("segment {} block {}: other bytes than were published",
                                            trailer_.index, block));
  }
  return {};
}

SegmentFolder::SegmentFolder(std::shared_ptr<SharedFiles> files, const fetch::ObjectId& id,
                             const SegmentLayout& layout, std::string instance)
    : files_(std::move(files)), layout_(layout), instance_(std::move(instance)) {
  oid_ = Sha256(fmt::format("modelfs-segments {} {} {}", SegmentTrailer::kVersion, id.Digest(),
                            layout_.segment_bytes()));
  const std::string hex = Hex(oid_);
  domain_path_ = "d/" + Safe(id.domain);
  path_ = fmt::format("{}/{}/{}", domain_path_, hex.substr(0, 2), hex);
  meta_ = nlohmann::json{{"source", id.source},
                         {"key", id.key},
                         {"tag", id.tag},
                         {"size_bytes", id.size_bytes},
                         {"segment_bytes", layout_.segment_bytes()}}
              .dump(1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string SegmentFolder::SegmentPath(std::uint64_t index) const {
  return fmt::format("{}/s/{}", path_, index);
}

std::string SegmentFolder::ClaimPath(std::uint64_t index, std::uint32_t epoch) const {
  return fmt::format("{}/k/{}.{}", path_, index, epoch);
}

Result<SegmentFolder::Listing> SegmentFolder::List() const {
  Listing listing;
  auto segments = files_->List(path_ + "/s");
  if (!segments && segments.error().code == Errc::kNotFound) return listing;
  if (!segments) return std::unexpected(std::move(segments.error()));
  for (const std::string& name : *segments) {
    const auto index = NumberOf<std::uint64_t>(name);
    if (index && *index < layout_.count()) listing.segments.push_back(*index);
  }
  auto claims = files_->List(path_ + "/k");
  if (!claims) return listing;  // Nobody claims anything, as far as can be seen.
  for (const std::string& name : *claims) {
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos) continue;
    const std::string_view text = name;
    const auto index = NumberOf<std::uint64_t>(text.substr(0, dot));
    const auto epoch = NumberOf<std::uint32_t>(text.substr(dot + 1));
    if (!index || !epoch || *index >= layout_.count()) continue;
    const auto [it, fresh] = listing.claims.emplace(*index, *epoch);
    if (!fresh) it->second = std::max(it->second, *epoch);
  }
  return listing;
}

Result<std::int64_t> SegmentFolder::Stamp() const {
  auto facts = files_->Look(path_ + "/s");
  if (!facts && facts.error().code == Errc::kNotFound) return 0;
  if (!facts) return std::unexpected(std::move(facts.error()));
  return facts->modified_ns;
}

Result<void> SegmentFolder::Prepare() const {
  for (const char* folder : {"/k", "/u", "/s"}) {
    if (auto made = files_->MakeFolder(path_ + folder); !made) return made;
  }
  if (auto made = files_->MakeFolder("t"); !made) return made;
  auto meta = files_->Create(path_ + "/meta");
  if (!meta) return std::unexpected(std::move(meta.error()));
  if (!*meta) return {};
  std::ignore = (*meta)->Write(0, std::as_bytes(std::span(meta_)));  // For people alone.
  return {};
}

Result<bool> SegmentFolder::Has(std::uint64_t index) const {
  auto facts = files_->Look(SegmentPath(index));
  if (facts) return true;
  if (facts.error().code == Errc::kNotFound) return false;
  return std::unexpected(std::move(facts.error()));
}

Result<std::shared_ptr<OpenSegment>> SegmentFolder::Open(std::uint64_t index) const {
  auto file = files_->OpenToRead(SegmentPath(index));
  if (!file) return std::unexpected(std::move(file.error()));
  auto size = (*file)->Size();
  if (!size) return std::unexpected(std::move(size.error()));
  std::vector<std::byte> tail(std::min<std::uint64_t>(*size, kTailBytes));
  const auto read_tail = [&]() -> Result<void> {
    auto n = (*file)->Read(*size - tail.size(), tail);
    if (!n) return std::unexpected(std::move(n.error()));
    if (*n != tail.size()) return Fail(Errc::kIo, "read of a trailer: short");
    return {};
  };
  if (auto read = read_tail(); !read) return std::unexpected(std::move(read.error()));
  if (tail.size() < SegmentTrailer::kFixedBytes) return Fail(Errc::kCorrupt, "too short a segment");
  auto fixed =
      SegmentTrailer::DecodeFixed(std::span(tail).last(SegmentTrailer::kFixedBytes), *size);
  if (!fixed) return std::unexpected(std::move(fixed.error()));
  const std::size_t length = fixed->sums.size() * 8 + SegmentTrailer::kFixedBytes;
  if (length > tail.size()) {
    tail.resize(length);
    if (auto read = read_tail(); !read) return std::unexpected(std::move(read.error()));
  }
  auto trailer = SegmentTrailer::Decode(std::span(tail).last(length), *size);
  if (!trailer) return std::unexpected(std::move(trailer.error()));
  if (trailer->oid != oid_ || trailer->index != index ||
      trailer->length_bytes != layout_.RangeOf(index).size()) {
    return Fail(Errc::kCorrupt, fmt::format("{}: is another segment", SegmentPath(index)));
  }
  return std::make_shared<OpenSegment>(std::move(*file), std::move(*trailer));
}

Result<std::unique_ptr<SegmentWriter>> SegmentFolder::New(std::uint64_t index,
                                                          std::uint32_t block_bytes) const {
  std::string temporary =
      fmt::format("t/{}.{}.{}.{}", instance_, Hex(oid_).substr(0, 16), index, ++serial_);
  auto file = files_->Create(temporary);
  if (!file) return std::unexpected(std::move(file.error()));
  if (!*file) return Fail(Errc::kIo, fmt::format("create {}: somebody has our name", temporary));
  SegmentTrailer trailer{.oid = oid_,
                         .index = index,
                         .length_bytes = layout_.RangeOf(index).size(),
                         .block_bytes = block_bytes};
  trailer.sums.resize(SegmentTrailer::BlocksOf(trailer.length_bytes, block_bytes));
  return std::make_unique<SegmentWriter>(files_, std::move(*file), std::move(trailer),
                                         std::move(temporary), SegmentPath(index));
}

Result<void> SegmentFolder::Quarantine(std::uint64_t index) const {
  if (auto made = files_->MakeFolder("q"); !made) return made;
  auto moved = files_->Rename(
      SegmentPath(index),
      fmt::format("q/{}.{}.{}.{}", instance_, Hex(oid_).substr(0, 16), index, ++serial_));
  // Its claims stood for it; whoever fetches it anew makes one.
  const auto claims = files_->List(path_ + "/k");
  for (const std::string& name : claims.value_or(std::vector<std::string>())) {
    if (name.starts_with(fmt::format("{}.", index))) {
      std::ignore = files_->Unlink(fmt::format("{}/k/{}", path_, name));
    }
  }
  return moved;
}

Result<Placed> SegmentFolder::Claim(std::uint64_t index, std::uint32_t epoch) const {
  auto file = files_->Create(ClaimPath(index, epoch));
  if (!file) return std::unexpected(std::move(file.error()));
  if (!*file) return Placed::kTaken;
  // Who reads it before takes us for alive.
  std::ignore = (*file)->Write(0, std::as_bytes(std::span(instance_)));
  return Placed::kPlaced;
}

Result<void> SegmentFolder::Release(std::uint64_t index, std::uint32_t epoch) const {
  return files_->Unlink(ClaimPath(index, epoch));
}

Result<SegmentFolder::Holder> SegmentFolder::HolderOf(std::uint64_t index,
                                                      std::uint32_t epoch) const {
  auto facts = files_->Look(ClaimPath(index, epoch));
  if (!facts) return std::unexpected(std::move(facts.error()));
  auto file = files_->OpenToRead(ClaimPath(index, epoch));
  if (!file) return std::unexpected(std::move(file.error()));
  std::string name(kHolderBytes, '\0');
  auto n = (*file)->Read(0, std::as_writable_bytes(std::span(name)));
  if (!n) return std::unexpected(std::move(n.error()));
  name.resize(*n);
  // It becomes part of a path.
  if (!std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c); })) name.clear();
  return Holder{.instance = std::move(name), .claimed_ns = facts->modified_ns};
}

Result<void> SegmentFolder::MarkUse() const {
  auto touched = files_->Touch(fmt::format("{}/u/{}", path_, instance_));
  if (!touched) return std::unexpected(std::move(touched.error()));
  return {};
}

}  // namespace modelfs::index::shared
