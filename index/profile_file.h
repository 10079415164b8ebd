#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"
#include "index/access_profile.h"

namespace modelfs::index {

/// The profile of objects of one name and size. It holds for no other.
struct NamedProfile {
  std::string name;  ///< Last component of the key: "model.safetensors".
  AccessProfile profile;

  friend bool operator==(const NamedProfile&, const NamedProfile&) = default;
};

/// Access profiles as a file, so that one machine's load plans those of others. FORMAT.md,
/// "Profiles as a file", has the layout. Read as what it is: something from elsewhere.
struct ProfileFile {
  static constexpr std::size_t kMostBytes = 32u << 20;
  static constexpr std::size_t kMostProfiles = 65'536;
  static constexpr std::size_t kMostNameBytes = 1'024;

  std::vector<NamedProfile> profiles;

  std::string Encode() const;
  /// Errors: kInvalid, saying what is wrong with it.
  static Result<ProfileFile> Decode(std::string_view bytes);
};

}  // namespace modelfs::index
