#include "fetch/credentials/token_subject.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fetch/base/base64.h"

namespace modelfs::fetch {

std::string TokenSubject(std::string_view token) {
  constexpr std::size_t kMaxSubject = 512;
  const std::size_t begin = token.find('.') + 1;
  const std::size_t end = begin == 0 ? std::string_view::npos : token.find('.', begin);
  if (end == std::string_view::npos) return {};
  std::string text(token.substr(begin, end - begin));
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  const auto payload = Base64Decode(text);
  if (!payload) return {};
  const auto json = nlohmann::json::parse(*payload, nullptr, false);
  if (!json.is_object()) return {};
  const auto found = json.find("sub");
  if (found == json.end() || !found->is_string()) return {};
  auto subject = found->get<std::string>();
  return subject.size() <= kMaxSubject ? subject : std::string();
}

}  // namespace modelfs::fetch
