#pragma once

#include <filesystem>

#include "fetch/base/handle.h"

namespace modelfs::index {

/// How a process learns that its predecessors died inside LMDB, which no check can rule out on a
/// damaged file: a file beside the index that says whether somebody is in there now, and how often
/// in a row nobody came out.
///
/// A process that is killed from outside may be in there by chance, so one death says nothing.
/// Where the file cannot be written it knows nothing, and that is no error.
/// Threads: one at a time.
class CrashMark {
 public:
  /// So many deaths in a row are the index's fault.
  static constexpr int kTooMany = 2;

  explicit CrashMark(const std::filesystem::path& file);

  bool HopelessIndex() const { return deaths_ >= kTooMany; }
  /// The index is another one now.
  void Forget();
  void Enter();
  void Leave();
  /// After an orderly close.
  void Remove();

 private:
  /// Who came out so often forgives the deaths before.
  static constexpr int kForgiven = 4;

  void Write(char state);

  const std::filesystem::path path_;
  Fd fd_;
  int deaths_ = 0;
  int returns_ = 0;
};

}  // namespace modelfs::index
