#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"
#include "fetch/base/worker_pool.h"
#include "fs/signature/signed_manifest.h"
#include "fs/signature/trust_anchor.h"
#include "fs/spec.h"
#include "fs/tree/tree.h"
#include "index/cache.h"

namespace modelfs::fs {

/// Whether the files of one mount are what somebody signed. See README.md for the policies.
///
/// Threads: any; what waits runs on the pool. Lock order: `mutex_` is a leaf; no completion runs
/// under it.
class Signatures : public std::enable_shared_from_this<Signatures> {
 public:
  struct Options {
    SignaturePolicy policy = SignaturePolicy::kWarn;
    TrustAnchor anchor;
    std::shared_ptr<Tree> tree;
    WorkerPool* pool = nullptr;  ///< Borrowed; outlives this object's use, see Stop.
  };
  explicit Signatures(Options options) : options_(std::move(options)) {}

  /// Calls `done` when `file` may be opened: at once, or on the pool when it was compared.
  /// `object` is what Tree::Open gave for it.
  /// Errors: kDenied (only under kEnforce), those of reading it, kCancelled.
  void Admit(std::uint64_t file, const std::shared_ptr<index::CachedObject>& object,
             Done<void> done) EXCLUDES(mutex_);

  /// For the attribute: "none", "unchecked", "valid", "invalid".
  std::string StateOf(std::uint64_t file) const EXCLUDES(mutex_);

  /// What is being compared ends soon, with kCancelled. Before the pool goes.
  void Stop() { stopping_ = true; }

 private:
  /// What came of comparing a file.
  struct Verdict {
    bool settled = false;             ///< Else somebody is at it.
    Result<void> result;              ///< If settled; kDenied: it is not what was signed.
    std::vector<Done<void>> waiting;  ///< Else.
  };
  using Manifest = std::shared_ptr<const Result<SignedManifest>>;

  void Compare(std::uint64_t file, const SignedPlace& place, index::CachedObject& object);
  Result<void> Judge(const SignedPlace& place, index::CachedObject& object);
  Manifest ManifestAt(std::uint64_t signature) EXCLUDES(mutex_);
  Result<SignedManifest> ReadManifest(std::uint64_t signature);
  template <class Visit>
  Result<void> ReadAll(index::CachedObject& object, Visit visit);
  template <class T, class Start>
  Result<T> AwaitCall(Start start);

  const Options options_;
  std::atomic<bool> stopping_ = false;
  mutable Mutex mutex_;
  std::unordered_map<std::uint64_t, Verdict> verdicts_ GUARDED_BY(mutex_);    ///< By file.
  std::unordered_map<std::uint64_t, Manifest> manifests_ GUARDED_BY(mutex_);  ///< By `model.sig`.
};

}  // namespace modelfs::fs
