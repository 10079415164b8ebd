#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace modelfs::test {

/// A short story of a cache: operations drawn from a seed.
///
/// An operation's numbers mean what Sequence says; they are taken modulo what there is, so that any
/// part of a story is a story, too.
struct ModelOp {
  enum class Kind : std::uint8_t {
    kRead,         ///< a: object, b and c: where.
    kReadNow,      ///< What TryReadNow has of it.
    kFetchAll,     ///< a: object.
    kPin,          ///< a: object.
    kUnpin,        ///< a: object.
    kEvict,        ///< a: object.
    kEvictAll,     ///< Whatever is not pinned nor held.
    kHold,         ///< a: object, which is in use from now on.
    kRelease,      ///< What is held.
    kLimit,        ///< a: how many chunks fit, for the time of one read of b.
    kVerify,       ///< All of it.
    kRepair,       ///< a: object.
    kChange,       ///< a: key, which has other bytes at the origin from now on.
    kOriginFault,  ///< a: which, b: of how many requests to come.
    kDiskFault,    ///< a: which, b: how often; 0: until it heals.
    kHeal,
    kRestart,   ///< In order.
    kKill,      ///< As by SIGKILL.
    kKillBusy,  ///< In the middle of fetching object a.
    kFlip,      ///< A kill, and a bit of object a's data flips, before the restart.
    kSeal,      ///< a: object, which is to be sealed once it is whole.
  };
  Kind kind = Kind::kRead;
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t c = 0;
};

std::string Describe(const ModelOp& op);

/// The story that `seed` names.
std::vector<ModelOp> DrawOps(std::uint64_t seed);

/// Plays `ops` on a cache in `directory`, which it makes, and beside it on the model; each life of
/// the cache is a process of its own. "" when both agree all the time; else where not, and why.
/// `io_seed`: chooses the backend.
/// Requires: one thread.
std::string PlayOps(const std::vector<ModelOp>& ops, const std::filesystem::path& directory,
                    std::uint64_t io_seed);

}  // namespace modelfs::test
