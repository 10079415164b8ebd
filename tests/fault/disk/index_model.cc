#include "tests/fault/disk/index_model.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <array>
#include <chrono>
#include <random>

#include "tests/fault/disk/forked_case.h"
#include "tests/fault/disk/model_life.h"

namespace modelfs::test {
namespace {

constexpr std::chrono::seconds kLifeLimit{60};

}  // namespace

std::string Describe(const ModelOp& op) {
  static constexpr std::array<const char*, 21> kNames{
      "read",       "read-now", "fetch-all", "pin",    "unpin",     "evict",  "evict-all",
      "hold",       "release",  "limit",     "verify", "repair",    "change", "origin-fault",
      "disk-fault", "heal",     "restart",   "kill",   "kill-busy", "flip",   "seal"};
  return fmt::format("{}({},{},{})", kNames[static_cast<std::size_t>(op.kind)], op.a, op.b, op.c);
}

std::vector<ModelOp> DrawOps(std::uint64_t seed) {
  using enum ModelOp::Kind;
  static const std::vector<ModelOp::Kind> kDeck{
      kRead,   kRead,     kRead,   kRead,        kRead,      kReadNow, kFetchAll, kFetchAll,
      kPin,    kUnpin,    kEvict,  kEvict,       kEvictAll,  kHold,    kRelease,  kLimit,
      kVerify, kRepair,   kChange, kOriginFault, kDiskFault, kHeal,    kHeal,     kRestart,
      kKill,   kKillBusy, kFlip,   kSeal,        kSeal};
  std::mt19937_64 chance(seed);
  const auto draw = [&] { return static_cast<std::uint32_t>(chance()); };
  std::vector<ModelOp> ops{{.kind = kChange, .a = 0}, {.kind = kChange, .a = 1}};
  const std::size_t count = 20 + chance() % 41;
  while (ops.size() < count) {
    ops.push_back({.kind = kDeck[chance() % kDeck.size()], .a = draw(), .b = draw(), .c = draw()});
  }
  return ops;
}

std::string PlayOps(const std::vector<ModelOp>& ops, const std::filesystem::path& directory,
                    std::uint64_t io_seed) {
  BytesOf(0);  // Here, so that no life has to make them.
  void* shared =
      ::mmap(nullptr, sizeof(Model), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* model = new (shared) Model;
  const auto io = io_seed % 2 == 0 ? index::IoBackend::kUring : index::IoBackend::kThreads;
  std::string problem;
  while (problem.empty() && model->step < ops.size()) {
    const std::size_t before = model->step;
    const ForkedResult life =
        RunForked([&] { return ModelLife(*model, ops, directory, io).Run(); }, kLifeLimit);
    const bool killed = life.what == "ended without a verdict" && model->step > before;
    if (!life.ok() && !killed) {
      problem = fmt::format("at step {}, {}: {}", model->step,
                            model->step > 0 ? Describe(ops[model->step - 1]) : "open", life.what);
    }
  }
  ::munmap(shared, sizeof(Model));
  return problem;
}

}  // namespace modelfs::test
