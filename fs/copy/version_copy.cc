#include "fs/copy/version_copy.h"

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <utility>

#include "fetch/base/percent.h"
#include "fs/copy/file_io.h"
#include "fs/copy/stream_pieces.h"
#include "index/origin_sums.h"

namespace modelfs::fs {
namespace {

constexpr std::chrono::milliseconds kProgressEvery{200};
constexpr std::uint64_t kSumBytes = 1u << 20;  ///< Read back at once when a file is summed.

/// Takes a piece as it arrives.
class PieceBuffer final : public fetch::BodySink {
 public:
  explicit PieceBuffer(std::uint64_t size) { bytes_.reserve(size); }
  void Append(std::span<const std::byte> bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

VersionCopy::VersionCopy(Options options)
    : options_(std::move(options)), pool_("copy", options_.threads) {}

Result<VersionCopy::Count> VersionCopy::Run() {
  Plan();
  while (count_.files_done < files_.size()) {
    if (!failure_) Launch();
    if (failure_ && active_ == 0) break;
    for (Event& event : AwaitEvents()) Take(std::move(event));
    if (options_.on_progress) options_.on_progress(count_);
  }
  if (auto& failure = failure_) return std::unexpected(*std::move(failure));
  return count_;
}

void VersionCopy::Plan() {
  std::map<std::pair<std::uint32_t, std::uint64_t>, const WrittenPiece*> known;
  for (const WrittenPiece& piece : options_.staging->pieces()) {
    known[{piece.file, piece.range.begin}] = &piece;
  }
  files_.resize(options_.list->files.size());
  count_ = {.bytes_total = options_.list->bytes(), .files_total = files_.size()};
  std::deque<Piece> unknown;
  for (std::uint32_t number = 0; number < files_.size(); ++number) {
    File& file = files_[number];
    const std::uint64_t size = What(number).object.size_bytes;
    for (std::uint64_t at = 0; at < size; at += options_.piece_bytes) {
      Piece piece{.file = number,
                  .range = {at, std::min(size, at + options_.piece_bytes)},
                  .known = std::nullopt};
      const auto found = known.find({number, at});
      if (found != known.end() && found->second->range == piece.range) {
        piece.known = found->second->xxh3;
      }
      (piece.known ? todo_ : unknown).push_back(piece);
      ++file.missing;
    }
    file.there.resize(file.missing);
    Settle(number);  // An empty one has nothing to wait for.
  }
  // What is known first: a stream must not begin while pieces of its file are being looked at.
  todo_.insert(todo_.end(), unknown.begin(), unknown.end());
}

void VersionCopy::Launch() {
  while (!failure_ && active_ < options_.at_once) {
    if (!to_seal_.empty()) {
      const std::uint32_t number = to_seal_.front();
      to_seal_.pop_front();
      StartSeal(number);
    } else if (!todo_.empty()) {
      const Piece piece = todo_.front();
      todo_.pop_front();
      Start(piece);
    } else {
      return;
    }
  }
}

void VersionCopy::Start(const Piece& piece) {
  File& file = files_[piece.file];
  if (piece.known) return StartCheck(piece);
  if (options_.origin->DeliveryOf(What(piece.file).object) == fetch::Delivery::kStream) {
    file.stream = true;
  }
  if (!file.stream) return StartFetch(piece);
  Settle(piece.file);  // The stream brings the piece, too.
}

bool VersionCopy::OpenIfNeeded(std::uint32_t number) {
  File& file = files_[number];
  if (file.fd) return true;
  auto fd = options_.staging->OpenFile(What(number).path, What(number).object.size_bytes);
  if (!fd) {
    Failed(std::move(fd.error()));
    return false;
  }
  file.fd = std::make_shared<const Fd>(*std::move(fd));
  return true;
}

void VersionCopy::StartCheck(const Piece& piece) {
  if (!OpenIfNeeded(piece.file)) return;
  ++files_[piece.file].active;
  ++active_;
  pool_.Post([this, piece, fd = files_[piece.file].fd] {
    std::vector<std::byte> bytes(piece.range.size());
    auto read = ReadAt(fd->get(), piece.range.begin, bytes, What(piece.file).path);
    if (read && XXH3_64bits(bytes.data(), bytes.size()) != piece.known) {
      read = Fail(Errc::kCorrupt, "not what was written");
    }
    Tell({.kind = Event::Kind::kChecked,
          .file = piece.file,
          .range = piece.range,
          .result = std::move(read)});
  });
}

void VersionCopy::StartFetch(const Piece& piece) {
  if (!OpenIfNeeded(piece.file)) return;
  ++files_[piece.file].active;
  ++active_;
  auto buffer = std::make_shared<PieceBuffer>(piece.range.size());
  options_.origin->Read(What(piece.file).object, piece.range, buffer,
                        [this, piece, buffer, fd = files_[piece.file].fd](Result<void> read) {
                          const auto tell = [this, piece](Result<void> result) {
                            Tell({.kind = Event::Kind::kFetched,
                                  .file = piece.file,
                                  .range = piece.range,
                                  .result = std::move(result)});
                          };
                          if (!read) return tell(std::move(read));
                          pool_.Post([this, piece, buffer, fd, tell] {
                            tell(Keep(*fd, piece.file, piece.range, buffer->bytes()));
                          });
                        });
}

void VersionCopy::StartStream(std::uint32_t number) {
  if (!OpenIfNeeded(number)) return;
  File& file = files_[number];
  file.streaming = true;
  ++file.active;
  ++active_;
  const ByteRange whole{0, What(number).object.size_bytes};
  auto pieces = std::make_shared<StreamPieces>(StreamPieces::Options{
      .pool = &pool_,
      .piece_bytes = options_.piece_bytes,
      .most_waiting = options_.at_once,
      .keep =
          [this, number, fd = file.fd](std::uint64_t offset, std::span<const std::byte> bytes) {
            const ByteRange range = ByteRange::At(offset, bytes.size());
            auto kept = Keep(*fd, number, range, bytes);
            if (kept) Tell({.kind = Event::Kind::kStreamPiece, .file = number, .range = range});
            return kept;
          },
      .ended =
          [this, number](Result<void> result) {
            Tell({.kind = Event::Kind::kStreamEnded, .file = number, .result = std::move(result)});
          }});
  options_.origin->Read(What(number).object, whole, pieces,
                        [pieces](Result<void> read) { pieces->End(std::move(read)); });
}

void VersionCopy::StartSeal(std::uint32_t number) {
  if (!OpenIfNeeded(number)) return;
  ++files_[number].active;
  ++active_;
  options_.origin->Checksums(What(number).object, [this, number, fd = files_[number].fd](
                                                      Result<fetch::PublishedChecksums> published) {
    // Who may read need not be allowed to ask for checksums.
    if (!published && published.error().code == Errc::kDenied) {
      published = fetch::PublishedChecksums{};
    }
    if (!published) {
      return Tell({.kind = Event::Kind::kSealed,
                   .file = number,
                   .result = std::unexpected(std::move(published.error()))});
    }
    pool_.Post([this, number, fd, sums = *std::move(published)] { Tell(Seal(number, *fd, sums)); });
  });
}

Result<void> VersionCopy::Keep(const Fd& fd, std::uint32_t number, ByteRange range,
                               std::span<const std::byte> bytes) const {
  const std::string what = Printable(What(number).path);
  if (bytes.size() != range.size()) {
    return Fail(Errc::kCorrupt,
                fmt::format("{}: {} bytes came instead of {}", What(number).object.Describe(),
                            bytes.size(), range.size()));
  }
  if (auto written = WriteAt(fd.get(), range.begin, bytes, what); !written) return written;
  return options_.staging->Record(
      {.file = number, .range = range, .xxh3 = XXH3_64bits(bytes.data(), bytes.size())});
}

VersionCopy::Event VersionCopy::Seal(std::uint32_t number, const Fd& fd,
                                     const fetch::PublishedChecksums& published) const {
  Event event{.kind = Event::Kind::kSealed, .file = number};
  const std::uint64_t size = What(number).object.size_bytes;
  const std::string what = Printable(What(number).path);
  const index::OriginSums::Object object{
      .size_bytes = size,
      .chunk_bytes = kSumBytes,
      .sums = [](std::uint64_t) { return index::ChunkSums{}; },
      .read =
          [&fd, &what, &event, size](std::uint64_t chunk, std::vector<std::byte>& out) {
            const std::uint64_t begin = chunk * kSumBytes;
            out.resize(std::min(size, begin + kSumBytes) - begin);
            event.result = ReadAt(fd.get(), begin, out, what);
            return event.result.has_value();
          }};
  if (size > 0 && !published.empty()) {
    event.bad = index::OriginSums::Compare(object, published).bad;
    if (!event.result || !event.bad.empty()) return event;
  }
  if (::fsync(fd.get()) != 0) event.result = FailErrno(errno, "sync " + what);
  return event;
}

void VersionCopy::Take(Event event) {
  using Kind = Event::Kind;
  File& file = files_[event.file];
  if (event.kind != Kind::kStreamPiece) {
    --file.active;
    --active_;
  }
  switch (event.kind) {
    case Kind::kChecked:
      if (event.result) {
        MarkThere(event.file, event.range);
      } else {
        todo_.push_back({.file = event.file, .range = event.range, .known = std::nullopt});
      }
      break;
    case Kind::kFetched:
    case Kind::kStreamPiece:
      if (event.result) {
        count_.bytes_fetched += event.range.size();
        MarkThere(event.file, event.range);
      } else if (event.result.error().code == Errc::kUnranged) {
        file.stream = true;
      } else {
        Failed(std::move(event.result.error()));
      }
      break;
    case Kind::kStreamEnded:
      file.streaming = false;
      if (!event.result) Failed(std::move(event.result.error()));
      break;
    case Kind::kSealed: return TakeSealed(std::move(event));
  }
  Settle(event.file);
}

void VersionCopy::TakeSealed(Event event) {
  File& file = files_[event.file];
  if (!event.result) return Failed(std::move(event.result.error()));
  if (event.bad.empty()) {
    file.fd.reset();
    ++count_.files_done;
    return;
  }
  if (file.mends++ > 0) {
    return Failed(
        {Errc::kCorrupt, fmt::format("{}: what comes is not what its published checksum says",
                                     What(event.file).object.Describe())});
  }
  const std::uint64_t size = What(event.file).object.size_bytes;
  for (std::size_t i = 0; i < file.there.size(); ++i) {
    const std::uint64_t begin = i * options_.piece_bytes;
    const ByteRange range{begin, std::min(size, begin + options_.piece_bytes)};
    const bool bad = std::ranges::any_of(
        event.bad, [&](ByteRange other) { return !range.Intersect(other).empty(); });
    if (!bad) continue;
    file.there[i] = false;
    ++file.missing;
    count_.bytes_done -= range.size();
    todo_.push_back({.file = event.file, .range = range, .known = std::nullopt});
  }
  file.sealing = false;
}

void VersionCopy::Settle(std::uint32_t number) {
  File& file = files_[number];
  if (failure_ || file.active > 0) return;
  if (file.missing > 0) {
    if (file.stream && !file.streaming) StartStream(number);
  } else if (!file.sealing) {
    file.sealing = true;
    to_seal_.push_back(number);
  }
}

void VersionCopy::MarkThere(std::uint32_t number, ByteRange range) {
  File& file = files_[number];
  const std::size_t piece = range.begin / options_.piece_bytes;
  if (piece >= file.there.size() || file.there[piece]) return;
  file.there[piece] = true;
  --file.missing;
  count_.bytes_done += range.size();
}

void VersionCopy::Failed(Error error) {
  if (failure_) return;  // The first is the cause.
  failure_ = std::move(error);
  options_.origin.reset();
  options_.registry.reset();
}

void VersionCopy::Tell(Event event) {
  MutexLock lock(mutex_);
  events_.push_back(std::move(event));
  changed_.NotifyAll();
}

std::deque<VersionCopy::Event> VersionCopy::AwaitEvents() {
  const auto until = std::chrono::steady_clock::now() + kProgressEvery;
  MutexLock lock(mutex_);
  bool in_time = true;
  while (events_.empty() && in_time) in_time = changed_.WaitUntil(mutex_, until);
  return std::exchange(events_, {});
}

}  // namespace modelfs::fs
