// Objects that come only as a whole, from the first byte on.
#include <algorithm>
#include <utility>

#include "index/local_object.h"
#include "index/stream_flight.h"

namespace modelfs::index {

void LocalObject::EnsureStream(Actions& actions) {
  if (std::exchange(streaming_, true)) return;
  auto stream = std::make_shared<StreamFlight>(shared_from_this());
  actions.Add([stream] { stream->Start(); });
}

std::shared_ptr<ChunkLoad> LocalObject::StreamReached(std::uint64_t chunk) {
  const MutexLock lock(mutex_);
  if (closed_) return nullptr;
  switch (chunks_.State(chunk)) {
    case ChunkState::kPresent: return nullptr;
    case ChunkState::kFetching: {
      std::shared_ptr<ChunkLoad>& load = loads_.at(chunk);
      if (load->streamed) return load->buffer ? nullptr : load;
      // A request for a range has it. If nothing came by that yet nothing will.
      if (load->filled > 0) return nullptr;
      auto ours = std::make_shared<ChunkLoad>();
      ours->chunk = chunk;
      ours->size_bytes = load->size_bytes;
      ours->streamed = true;
      ours->waiters.swap(load->waiters);
      load = ours;
      return ours;
    }
    case ChunkState::kAbsent: break;
  }
  auto load = std::make_shared<ChunkLoad>();
  load->chunk = chunk;
  load->size_bytes = chunks_.RangeOf(chunk).size();
  load->streamed = true;
  chunks_.Move(chunk, ChunkState::kFetching);
  loads_.emplace(chunk, load);
  return load;
}

bool LocalObject::SupplyStream(ChunkLoad& load, Buffer buffer,
                               std::shared_ptr<StreamWindow> window) {
  const MutexLock lock(mutex_);
  if (closed_) return false;
  load.buffer = std::move(buffer);
  load.window = std::move(window);
  return true;
}

/// There was no buffer: the chunk is left to a further stream, if somebody waits for it.
void LocalObject::StreamPassed(const std::shared_ptr<ChunkLoad>& load) {
  const MutexLock lock(mutex_);
  const auto it = loads_.find(load->chunk);
  if (it == loads_.end() || it->second != load || !load->waiters.empty()) return;
  loads_.erase(it);
  chunks_.Move(load->chunk, ChunkState::kAbsent);
}

void LocalObject::StreamLanded(const Result<void>& result) {
  Actions actions;
  {
    const MutexLock lock(mutex_);
    streaming_ = false;
    NoteFetch(result, actions);
    if (!result) {
      ForgetWishes();
      if (result.error().code == Errc::kChanged) changed_ = result.error();
    }
    bool more = false;
    for (auto it = loads_.begin(); it != loads_.end();) {
      const std::shared_ptr<ChunkLoad> load = it->second;
      if (!load->streamed || load->filled == load->size_bytes) {
        ++it;
        continue;
      }
      if (result && !closed_) {  // Asked for after the stream had gone by.
        more = true;
        ++it;
        continue;
      }
      it = loads_.erase(it);
      chunks_.Move(load->chunk, ChunkState::kAbsent);
      const Error error = result ? Error{Errc::kCancelled, "read: shutting down"} : result.error();
      for (ReadPiece& piece : load->waiters) {
        actions.Add([op = std::move(piece.op), error] { op->Finish(error); });
      }
      load->waiters.clear();
    }
    if (more) EnsureStream(actions);
    SettleWhole(result, actions);
    loaded_condition_.NotifyAll();
  }
  actions.Run();
}

/// What was asked for by ranges is to come by stream.
void LocalObject::TurnToStream(const Loads& loads, Actions& actions) {
  stream_only_ = true;
  std::vector<ReadPiece> pieces;
  bool dropped = false;
  for (const std::shared_ptr<ChunkLoad>& load : loads) {
    if (!load) continue;
    const auto it = loads_.find(load->chunk);
    if (it == loads_.end() || it->second != load || load->filled == load->size_bytes) continue;
    loads_.erase(it);
    chunks_.Move(load->chunk, ChunkState::kAbsent);
    dropped = true;
    std::move(load->waiters.begin(), load->waiters.end(), std::back_inserter(pieces));
    load->waiters.clear();
  }
  Route(pieces, actions);
  if (dropped) EnsureStream(actions);  // Else the stream has been by already.
}

}  // namespace modelfs::index
