#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "index/cache.h"
#include "tests/fault/disk/index_model.h"
#include "tests/fault/disk/model_objects.h"
#include "tests/support/fake_origin.h"
#include "tests/support/faulty_origin.h"
#include "tests/support/script_fault_points.h"

namespace modelfs::test {

/// What is known of one identity. A bit per chunk: certainly in the cache; perhaps in the cache.
struct ObjectModel {
  std::uint32_t must = 0;
  std::uint32_t may = 0;
  std::uint32_t flipped = 0;  ///< Looks present, and was not read since.
  bool pinned = false;
  bool sealed = false;  ///< Perhaps: damage takes all of it then.
};

/// Shared by the process that tells the story and those that live it.
struct Model {
  std::size_t step = 0;  ///< The next operation.
  std::size_t objects = 0;
  std::array<std::uint32_t, kMostModelObjects> key{};
  std::array<ObjectModel, kMostModelObjects> object{};
};

/// One life of the cache: plays a story, beside it on the model, until the story or the life ends.
///
/// Threads: one.
class ModelLife {
 public:
  ModelLife(Model& model, const std::vector<ModelOp>& ops, std::filesystem::path directory,
            index::IoBackend io);
  /// "" at the end of the life, else what differs; a life that ends by a kill ends the process
  /// here.
  std::string Run();

 private:
  void Problem(std::string what);
  void PutObject(std::size_t object);
  bool Open();
  [[noreturn]] void Kill(const ModelOp& op);
  [[noreturn]] void KillBusy(const ModelOp& op);
  void Flip(std::size_t object, std::uint32_t where);
  std::shared_ptr<index::CachedObject> Get(std::size_t object);
  bool IsNewest(std::size_t object) const;
  bool OriginMayFail(std::size_t object) const;
  void Play(const ModelOp& op);
  void Heal();
  /// Certain is only what a disk and an origin without faults, and room, make so.
  void Touched(std::size_t object);
  void Lost(std::size_t object);
  void Read(std::size_t object, std::uint32_t b, std::uint32_t c);
  void ReadNow(std::size_t object, std::uint32_t b);
  void FetchAll(std::size_t object);
  void Pin(std::size_t object, bool pinned);
  /// Waits until what was asked of the evictor before is done.
  void AwaitEvictor();
  index::EvictReport EvictIds(std::vector<fetch::ObjectId> ids);
  void Evict(std::size_t object);
  void Verify(const std::size_t* object);
  /// Waits until nothing is under way, and learns from what was asked of the origin.
  void Settle();
  void Learn(const FakeOrigin::Request& request);
  void CheckAll();

  Model& model_;
  const std::vector<ModelOp>& ops_;
  const std::filesystem::path directory_;
  const index::IoBackend io_;
  std::shared_ptr<FakeOrigin> good_ = std::make_shared<FakeOrigin>();
  std::shared_ptr<FaultyOrigin> origin_ =
      std::make_shared<FaultyOrigin>(good_, std::vector<OriginFault>{});
  ScriptFaultPoints faults_;
  std::vector<fetch::ObjectId> ids_;
  std::unique_ptr<index::Cache> cache_;
  std::shared_ptr<index::CachedObject> held_;
  std::size_t held_object_ = 0;
  std::string problem_;
  std::vector<std::size_t> touched_;
  std::size_t seen_ = 0;
  std::size_t fault_reads_ = 0;  ///< The origin fails until it has seen so many.
  bool origin_faults_ = false;
  bool disk_faults_ = false;
  bool limited_ = false;
  std::array<ObjectModel, kMostModelObjects> before_{};  ///< The operation that is being played.
};

}  // namespace modelfs::test
