#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace modelfs::fs {

/// One line of `modelfs doctor`.
struct Finding {
  enum class Level : std::uint8_t {
    kOk,
    kWarn,  ///< modelfs works, but less well or not for everybody.
    kFail,  ///< modelfs does not work until this is mended.
  };
  Level level = Level::kOk;
  std::string subject;  ///< "kernel".
  std::string what;     ///< What was found and what it means.
  std::string mend;     ///< What to do; empty when there is nothing.
};

using Findings = std::vector<Finding>;

constexpr std::string_view ToString(Finding::Level level) {
  switch (level) {
    case Finding::Level::kOk: return "ok";
    case Finding::Level::kWarn: return "warn";
    case Finding::Level::kFail: return "FAIL";
  }
  return "";
}

}  // namespace modelfs::fs
