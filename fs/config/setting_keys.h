#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "fetch/base/error.h"
#include "fs/config/settings.h"

namespace modelfs::fs {

/// One thing that can be set: its key in the file, its flag, and what a value must look like. The
/// file reader and the command line both go through these tables, so the two cannot drift apart.
template <class Target>
struct SettingKey {
  enum class Type : std::uint8_t {
    kText,    ///< A string.
    kNumber,  ///< A string or an integer.
    kSwitch,  ///< A boolean; as a flag it takes no value.
  };
  std::string_view key;   ///< In the file, sections joined by dots: "timeouts.read".
  std::string_view flag;  ///< "--read-timeout".
  Type type = Type::kText;
  std::string_view value;  ///< What to call the value in help: "DURATION".
  std::string_view help;
  /// Parses `text` ("true" or "false" for a switch) into `target`. Errors: kInvalid; the text says
  /// what is wrong with the value, the caller puts the key or flag in front.
  Result<void> (*apply)(std::string_view text, Target& target);
};

/// Keys at the top and in sections of the file.
std::span<const SettingKey<Settings>> SettingKeys();

/// Keys of a [[source]], but `uri`, `name` and `models`, which have no flag of their own.
std::span<const SettingKey<SourceSettings>> SourceKeys();

}  // namespace modelfs::fs
