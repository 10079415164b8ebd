#include "index/profile_file.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <optional>
#include <utility>

namespace modelfs::index {
namespace {

constexpr std::string_view kMagic = "MFSPROFS";
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kSumBytes = 8;

void Put(std::string& out, std::uint64_t number, int bytes) {
  for (int shift = 0; shift < 8 * bytes; shift += 8) {
    out.push_back(static_cast<char>(number >> shift));
  }
}

/// Reads numbers and texts off the front; what is not there is nothing.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  std::optional<std::uint64_t> Number(std::size_t bytes) {
    const auto text = Text(bytes);
    if (!text) return std::nullopt;
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      number |= std::uint64_t{static_cast<unsigned char>((*text)[i])} << 8 * i;
    }
    return number;
  }
  std::optional<std::string_view> Text(std::uint64_t bytes) {
    if (bytes > left_.size()) return std::nullopt;
    const std::string_view text = left_.substr(0, bytes);
    left_.remove_prefix(bytes);
    return text;
  }
  bool empty() const { return left_.empty(); }

 private:
  std::string_view left_;
};

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= ProfileFile::kMostNameBytes && name != "." &&
         name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

std::unexpected<Error> Bad(std::string_view why) {
  return Fail(Errc::kInvalid, fmt::format("no file of access profiles: {}", why));
}

std::optional<NamedProfile> ReadProfile(Reader& reader) {
  const auto name_bytes = reader.Number(2);
  const auto name = name_bytes ? reader.Text(*name_bytes) : std::nullopt;
  if (!name || !IsName(*name)) return std::nullopt;
  const auto profile_bytes = reader.Number(4);
  const auto text = profile_bytes ? reader.Text(*profile_bytes) : std::nullopt;
  if (!text) return std::nullopt;
  auto profile = AccessProfile::Decode(*text);
  if (!profile) return std::nullopt;
  return NamedProfile{.name = std::string(*name), .profile = *std::move(profile)};
}

}  // namespace

std::string ProfileFile::Encode() const {
  std::string out(kMagic);
  Put(out, kVersion, 4);
  Put(out, profiles.size(), 4);
  for (const NamedProfile& named : profiles) {
    const std::string profile = named.profile.Encode();
    Put(out, named.name.size(), 2);
    out += named.name;
    Put(out, profile.size(), 4);
    out += profile;
  }
  Put(out, XXH3_64bits(out.data(), out.size()), kSumBytes);
  return out;
}

Result<ProfileFile> ProfileFile::Decode(std::string_view bytes) {
  if (bytes.size() > kMostBytes) return Bad("it is over 32 MiB");
  if (!bytes.starts_with(kMagic)) return Bad("it begins with something else");
  Reader reader(bytes.substr(kMagic.size()));
  const auto version = reader.Number(4);
  // Before the sum: a later version may have another.
  if (version && *version != kVersion) {
    return Bad(fmt::format("it is of version {}, and this program reads {}", *version, kVersion));
  }
  if (bytes.size() < kMagic.size() + 8 + kSumBytes) return Bad("it is cut off");
  const std::string_view body = bytes.substr(0, bytes.size() - kSumBytes);
  const auto sum = Reader(bytes.substr(body.size())).Number(kSumBytes);
  if (sum != XXH3_64bits(body.data(), body.size())) return Bad("its checksum does not fit");
  reader = Reader(body.substr(kMagic.size() + 4));
  const auto count = reader.Number(4);
  if (!count || *count > kMostProfiles) return Bad("it has too many profiles");
  ProfileFile file;
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto profile = ReadProfile(reader);
    if (!profile) return Bad(fmt::format("profile {} of {} makes no sense", i + 1, *count));
    file.profiles.push_back(*std::move(profile));
  }
  if (!reader.empty()) return Bad("something follows its last profile");
  return file;
}

}  // namespace modelfs::index
