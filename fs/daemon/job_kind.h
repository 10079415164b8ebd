#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace modelfs::fs {

/// What a job does with the files at or below its paths.
enum class JobKind : std::uint8_t {
  kWarm,            ///< Downloads them whole.
  kVerify,          ///< Checks their cached bytes; without paths, of the whole cache.
  kRepair,          ///< The same, and fetches again what is damaged.
  kPin,             ///< Keeps their bytes from eviction.
  kUnpin,           ///< Gives them back to it.
  kEvict,           ///< Removes their cached bytes.
  kExportProfiles,  ///< Gathers what earlier loads have shown; the result is the job's output.
};

/// The word for it in paths of the control socket, in JSON and on the command line.
inline constexpr std::array<std::pair<JobKind, std::string_view>, 7> kJobKinds{{
    {JobKind::kWarm, "warm"},
    {JobKind::kVerify, "verify"},
    {JobKind::kRepair, "repair"},
    {JobKind::kPin, "pin"},
    {JobKind::kUnpin, "unpin"},
    {JobKind::kEvict, "evict"},
    {JobKind::kExportProfiles, "export-profiles"},
}};

constexpr std::string_view ToString(JobKind kind) {
  for (const auto& [candidate, word] : kJobKinds) {
    if (candidate == kind) return word;
  }
  return "";
}

}  // namespace modelfs::fs
