#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "index/local_object.h"

namespace modelfs::index {

void LocalObject::Read(std::uint64_t offset, std::span<std::byte> dst, Done<std::size_t> done) {
  ReadAs(Reader::kOther, offset, dst, std::move(done));
}

void LocalObject::Borrow(std::uint64_t offset, std::span<std::byte> dst,
                         Done<std::span<const std::byte>> done) {
  Answer(Reader::kOther, ReadOp::Lending::kYes, offset, dst, std::move(done));
}

void LocalObject::ReadAs(Reader reader, std::uint64_t offset, std::span<std::byte> dst,
                         Done<std::size_t> done) {
  Answer(reader, ReadOp::Lending::kNo, offset, dst,
         [done = std::move(done)](Result<std::span<const std::byte>> bytes) mutable {
           if (!bytes) return done(std::unexpected(std::move(bytes.error())));
           done(bytes->size());
         });
}

void LocalObject::Answer(Reader reader, ReadOp::Lending lending, std::uint64_t offset,
                         std::span<std::byte> dst, Done<std::span<const std::byte>> done) {
  if (offset >= id_.size_bytes || dst.empty()) return done(std::span<const std::byte>());
  dst = dst.first(std::min<std::uint64_t>(dst.size(), id_.size_bytes - offset));
  NoteUse();
  auto op = std::make_shared<ReadOp>(dst, lending, std::move(done));
  Actions actions;
  {
    const MutexLock lock(mutex_);
    if (closed_) {
      actions.Add([op] { op->Finish(Error{Errc::kCancelled, "read: shutting down"}); });
    } else if (!loaded_.load(std::memory_order_acquire)) {
      queued_.emplace_back([self = shared_from_this(), reader, op, offset] {
        Actions later;
        {
          const MutexLock inner(self->mutex_);
          self->Begin(reader, op, offset, later);
        }
        later.Run();
      });
    } else {
      Begin(reader, op, offset, actions);
    }
  }
  actions.Run();
}

void LocalObject::Begin(Reader reader, const std::shared_ptr<ReadOp>& op, std::uint64_t offset,
                        Actions& actions) {
  const std::vector<ReadPiece> pieces = Split(op, offset, op->dst());
  // Our own share first: whoever ends the last piece can lend then.
  actions.Add([op] { op->Finish(); });
  Route(pieces, actions);
  if (reader == Reader::kOther) NoteRead(ByteRange::At(offset, op->dst().size()), actions);
}

std::optional<Lent> LocalObject::TryBorrowNow(std::uint64_t offset, std::size_t size) {
  if (offset >= id_.size_bytes || size == 0) return std::nullopt;
  size = std::min<std::uint64_t>(size, id_.size_bytes - offset);
  const std::uint64_t chunk = chunks_.IndexOf(offset);
  if (chunks_.IndexOf(offset + size - 1) != chunk || !chunks_.Ready(chunk)) return std::nullopt;
  auto kept = core_->unread.Read(this, chunk, size);
  if (!kept) return std::nullopt;
  chunks_.Used(chunk, core_->Ticks());
  NoteHit(offset, size);
  const std::byte* const data = kept->buffer.data() + (offset - chunks_.RangeOf(chunk).begin);
  return Lent{.owner = std::move(kept), .bytes = {data, size}};
}

std::optional<std::size_t> LocalObject::TryReadNow(std::uint64_t offset, std::span<std::byte> dst) {
  if (!loaded_.load(std::memory_order_acquire)) return std::nullopt;
  if (offset >= id_.size_bytes || dst.empty()) return 0;
  dst = dst.first(std::min<std::uint64_t>(dst.size(), id_.size_bytes - offset));
  const std::uint64_t first = chunks_.IndexOf(offset);
  const std::uint64_t last = chunks_.IndexOf(offset + dst.size() - 1);
  const std::uint64_t punches = punches_.load();
  const std::uint32_t now = core_->Ticks();
  for (std::uint64_t c = first; c <= last; ++c) {
    if (!chunks_.Ready(c)) return std::nullopt;
    chunks_.Used(c, now);
  }
  // Not in the page cache, but in ours: the other way does not go by the disk.
  if (core_->unread.Holds(this, first, last)) return std::nullopt;
  if (!DiskIo::ReadNow(data_fd(), offset, dst)) return std::nullopt;
  if (punches_.load() != punches) return std::nullopt;  // May have been of these, in mid-read.
  NoteHit(offset, dst.size());
  return dst.size();
}

/// Of a read that was answered without the lock.
void LocalObject::NoteHit(std::uint64_t offset, std::size_t size) {
  NoteUse();
  core_->counters.hit_bytes.fetch_add(size, std::memory_order_relaxed);
  if (chunks_.whole() && !recording_.load(std::memory_order_relaxed)) return;
  Actions actions;
  {
    const MutexLock lock(mutex_);
    if (!closed_) NoteRead(ByteRange::At(offset, size), actions);
  }
  actions.Run();
}

std::vector<ReadPiece> LocalObject::Split(const std::shared_ptr<ReadOp>& op, std::uint64_t offset,
                                          std::span<std::byte> dst) const {
  std::vector<ReadPiece> pieces;
  while (!dst.empty()) {
    const std::uint64_t chunk = chunks_.IndexOf(offset);
    const ByteRange range = chunks_.RangeOf(chunk);
    const std::size_t n = std::min<std::uint64_t>(dst.size(), range.end - offset);
    op->Add();
    pieces.push_back({op, chunk, offset - range.begin, dst.first(n)});
    dst = dst.subspan(n);
    offset += n;
  }
  return pieces;
}

void LocalObject::Route(const std::vector<ReadPiece>& pieces, Actions& actions) {
  std::vector<ReadPiece> run;  // Adjacent, ready: one read from the file.
  const auto flush = [&] {
    if (run.empty()) return;
    actions.Add([self = shared_from_this(), r = std::move(run)]() mutable {
      self->ReadFromDisk(std::move(r));
    });
    run.clear();
  };
  const std::uint32_t now = core_->Ticks();
  std::vector<std::uint64_t> absent;
  bool by_stream = false;
  for (const ReadPiece& piece : pieces) {
    const bool ready = chunks_.Ready(piece.chunk) && !checks_.contains(piece.chunk);
    const bool adjacent =
        !run.empty() && run.back().op == piece.op && run.back().chunk + 1 == piece.chunk;
    const auto kept = ready ? core_->unread.Read(this, piece.chunk, piece.dst.size()) : nullptr;
    if (!ready || !adjacent || kept) flush();
    auto& counter = chunks_.State(piece.chunk) == ChunkState::kPresent ? core_->counters.hit_bytes
                                                                       : core_->counters.miss_bytes;
    counter.fetch_add(piece.dst.size(), std::memory_order_relaxed);
    chunks_.Used(piece.chunk, now);
    if (kept) {
      actions.Add([kept, piece] {
        piece.TakeFrom(kept->buffer.data());
        piece.op->Finish();
      });
    } else if (ready) {
      chunks_.BeginRead(piece.chunk);
      run.push_back(piece);
    } else if (closed_) {
      actions.Add([op = piece.op] { op->Finish(Error{Errc::kCancelled, "read: shutting down"}); });
    } else if (RoutePresent(piece, actions)) {
      continue;
    } else if (chunks_.State(piece.chunk) == ChunkState::kFetching) {
      RouteLoad(piece, actions);
    } else if (corrupt_ &&
               std::binary_search(corrupt_chunks_.begin(), corrupt_chunks_.end(), piece.chunk)) {
      actions.Add([op = piece.op, error = *corrupt_] { op->Finish(error); });
    } else if (changed_) {
      actions.Add([op = piece.op, error = *changed_] { op->Finish(error); });
    } else {
      auto load = std::make_shared<ChunkLoad>();
      load->chunk = piece.chunk;
      load->size_bytes = chunks_.RangeOf(piece.chunk).size();
      load->waiters.push_back(piece);
      load->was_read = true;
      chunks_.Move(piece.chunk, ChunkState::kFetching);
      loads_.emplace(piece.chunk, std::move(load));
      if (stream_only_) {
        loads_.at(piece.chunk)->streamed = by_stream = true;
      } else {
        absent.push_back(piece.chunk);
      }
    }
  }
  flush();
  if (!absent.empty()) AddDemand(absent, actions);
  if (by_stream) EnsureStream(actions);
}

/// Present, but not yet checked in this life, or being checked.
bool LocalObject::RoutePresent(const ReadPiece& piece, Actions& actions) {
  if (const auto check = checks_.find(piece.chunk); check != checks_.end()) {
    check->second.push_back(piece);
    return true;
  }
  if (chunks_.State(piece.chunk) != ChunkState::kPresent) return false;
  checks_[piece.chunk].push_back(piece);
  AddCheck(piece.chunk, actions);
  const bool sequence = piece.chunk > 0 && chunks_.Ready(piece.chunk - 1);
  if (sequence && core_->buffers->limit() >= 8 * kCheckAhead) {
    const std::uint64_t end = std::min(chunks_.count(), piece.chunk + 1 + kCheckAhead);
    for (std::uint64_t c = piece.chunk + 1; c < end; ++c) {
      if (chunks_.State(c) != ChunkState::kPresent || chunks_.Ready(c)) continue;
      if (checks_.try_emplace(c).second) AddCheck(c, actions);
    }
  }
  return true;
}

void LocalObject::AddCheck(std::uint64_t chunk, Actions& actions) {
  actions.Add([self = shared_from_this(), chunk] {
    self->core_->buffers->Reserve(
        1, [self, chunk](Reservation r) { self->StartCheck(chunk, std::move(r)); });
  });
}

void LocalObject::RouteLoad(const ReadPiece& piece, Actions& actions) {
  const std::shared_ptr<ChunkLoad>& load = loads_.at(piece.chunk);
  load->was_read = true;
  if (load->filled < piece.end()) {
    load->waiters.push_back(piece);
    return;
  }
  load->read_bytes += piece.dst.size();
  actions.Add([load, piece] {
    piece.TakeFrom(load->buffer.data());
    piece.op->Finish();
  });
}

void LocalObject::ReadFromDisk(std::vector<ReadPiece> run) {
  const std::uint64_t offset = chunks_.RangeOf(run.front().chunk).begin + run.front().offset;
  std::size_t size = 0;
  for (const ReadPiece& piece : run) size += piece.dst.size();
  const std::span<std::byte> dst(run.front().dst.data(), size);
  if (auto fault = core_->faults->Hit("local_tier.read"); fault) {
    EndReads(run);
    for (ReadPiece& piece : run) Quarantine(piece.chunk, {piece});
    return;
  }
  core_->disk->Read(data_fd(), offset, dst,
                    [self = shared_from_this(), run = std::move(run), size](Result<std::size_t> n) {
                      self->EndReads(run);
                      if (!n && n.error().code == Errc::kCancelled) {
                        for (const ReadPiece& piece : run) piece.op->Finish(n.error());
                        return;
                      }
                      if (n && *n == size) {
                        for (const ReadPiece& piece : run) piece.op->Finish();
                        return;
                      }
                      if (!n) self->core_->problems.Note("cache.read_failed", n.error());
                      // Unreadable is as bad as wrong: fetch it again.
                      for (const ReadPiece& piece : run) self->Quarantine(piece.chunk, {piece});
                    });
}

void LocalObject::EndReads(const std::vector<ReadPiece>& run) {
  const MutexLock lock(mutex_);
  for (const ReadPiece& piece : run) chunks_.EndRead(piece.chunk);
  loaded_condition_.NotifyAll();
}

void LocalObject::StartCheck(std::uint64_t chunk, Reservation reservation) {
  if (reservation.count() == 0) {
    std::vector<ReadPiece> waiting;
    {
      const MutexLock lock(mutex_);
      waiting = std::move(checks_[chunk]);
      checks_.erase(chunk);
    }
    for (const ReadPiece& piece : waiting) {
      piece.op->Finish(Error{Errc::kCancelled, "read: shutting down"});
    }
    return;
  }
  const ByteRange range = chunks_.RangeOf(chunk);
  auto buffer = std::make_shared<Buffer>(reservation.Take());
  const std::span<std::byte> dst(buffer->data(), range.size());
  if (core_->faults->Hit("local_tier.check")) return FinishCheck(chunk, buffer->data(), false);
  core_->disk->Read(data_fd(), range.begin, dst,
                    [self = shared_from_this(), chunk, buffer, dst](Result<std::size_t> n) {
                      if (!n) self->core_->problems.Note("cache.read_failed", n.error());
                      const auto expected = self->ExpectedHash(chunk);
                      const bool sound = n && *n == dst.size() && expected &&
                                         XXH3_64bits(dst.data(), dst.size()) == *expected;
                      self->FinishCheck(chunk, buffer->data(), sound);
                    });
}

void LocalObject::FinishCheck(std::uint64_t chunk, const std::byte* data, bool sound) {
  if (!sound) {
    std::vector<ReadPiece> waiting;
    {
      const MutexLock lock(mutex_);
      waiting = std::move(checks_[chunk]);
      checks_.erase(chunk);
    }
    return Quarantine(chunk, std::move(waiting));
  }
  std::vector<ReadPiece> waiting;
  {
    const MutexLock lock(mutex_);
    waiting = std::move(checks_[chunk]);
    checks_.erase(chunk);
    suspects_.erase(chunk);
    chunks_.MarkChecked(chunk);
    loaded_condition_.NotifyAll();
  }
  for (const ReadPiece& piece : waiting) {
    piece.TakeFrom(data);
    piece.op->Finish();
  }
}

void LocalObject::Quarantine(std::uint64_t chunk, std::vector<ReadPiece> pieces) {
  Actions actions;
  {
    const MutexLock lock(mutex_);
    if (const auto check = checks_.find(chunk); check != checks_.end()) {
      for (ReadPiece& piece : pieces) check->second.push_back(std::move(piece));
      return;
    }
    if (broken_) {
      Break(std::move(pieces), actions);
    } else if (chunks_.State(chunk) != ChunkState::kPresent) {
      Route(pieces, actions);  // Someone else was quicker.
    } else if (sealed_) {
      Suspect(chunk);
      core_->counters.quarantined_chunks.fetch_add(1, std::memory_order_relaxed);
      Break(std::move(pieces), actions);
    } else {
      checks_[chunk] = std::move(pieces);
      Suspect(chunk);
      core_->counters.quarantined_chunks.fetch_add(1, std::memory_order_relaxed);
      actions.Add([self = shared_from_this(), chunk] {
        spdlog::warn("cache.quarantined object={} chunk={}", self->id_.Describe(), chunk);
        // Struck out on disk before anything may be written there again.
        self->core_->disk->Write(
            self->files_->map.fd(), self->files_->map.OffsetOf(chunk), MapFile::kErased,
            [self, chunk](Result<void> erased) { self->Quarantined(chunk, erased); });
      });
    }
  }
  actions.Run();
}

void LocalObject::Quarantined(std::uint64_t chunk, const Result<void>& erased) {
  if (!erased) core_->problems.Note("cache.map_write_failed", erased.error());
  Actions actions;
  {
    const MutexLock lock(mutex_);
    std::vector<ReadPiece> waiting = std::move(checks_[chunk]);
    checks_.erase(chunk);
    chunks_.Move(chunk, ChunkState::kAbsent);
    Account();
    Lost();
    core_->db->DropChunk(digest_, chunk);
    loaded_condition_.NotifyAll();
    Route(waiting, actions);
    SettleWhole({}, actions);
  }
  actions.Run();
}

}  // namespace modelfs::index
