#include "fs/http/mlflow_webhook.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

#include "fetch/base/sha256.h"

namespace modelfs::fs {
namespace {

constexpr std::size_t kMostIds = 10'000;
constexpr std::size_t kLongestId = 128;

std::string Base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

}  // namespace

std::string MlflowWebhook::Sign(const Delivery& delivery, std::string_view secret) {
  const auto mac =
      HmacSha256(secret, fmt::format("{}.{}.{}", delivery.id, delivery.timestamp, delivery.body));
  return "v1," + Base64(AsKey(mac));
}

MlflowWebhook::Verdict MlflowWebhook::Check(const Delivery& delivery, std::string_view secret,
                                            Clock::time_point now) {
  const std::string expected = Sign(delivery, secret);
  // Without a secret everybody could sign.
  const bool genuine =
      !secret.empty() && !delivery.id.empty() && delivery.id.size() <= kLongestId &&
      delivery.signature.size() == expected.size() &&
      CRYPTO_memcmp(delivery.signature.data(), expected.data(), expected.size()) == 0;
  if (!genuine) return Verdict::kForged;
  std::int64_t seconds = 0;
  const char* const begin = delivery.timestamp.data();
  const char* const end = begin + delivery.timestamp.size();
  const auto [rest, error] = std::from_chars(begin, end, seconds);
  if (error != std::errc{} || rest != end) return Verdict::kForged;
  const auto now_seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  if (seconds < (now_seconds - kWindow).count() || seconds > (now_seconds + kWindow).count()) {
    return Verdict::kStale;
  }
  MutexLock lock(mutex_);
  // What is older is refused by its time.
  std::erase_if(seen_, [&](const auto& item) { return item.second < now - 3 * kWindow; });
  if (seen_.contains(std::string(delivery.id))) return Verdict::kDuplicate;
  if (seen_.size() < kMostIds) seen_.emplace(delivery.id, now);
  return Verdict::kNew;
}

}  // namespace modelfs::fs
