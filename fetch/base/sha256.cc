#include "fetch/base/sha256.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <cstdint>

namespace modelfs {
namespace {

const unsigned char* Bytes(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

}  // namespace

Sha256Digest Sha256(std::string_view bytes) {
  Sha256Digest out;
  ::SHA256(Bytes(bytes), bytes.size(), reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

Sha256Digest HmacSha256(std::string_view key, std::string_view bytes) {
  Sha256Digest out;
  unsigned size = out.size();
  // A null key pointer would make OpenSSL reuse an earlier key.
  ::HMAC(EVP_sha256(), key.empty() ? "" : key.data(), static_cast<int>(key.size()), Bytes(bytes),
         bytes.size(), reinterpret_cast<unsigned char*>(out.data()), &size);
  return out;
}

std::string Hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    out.push_back(kDigits[static_cast<std::uint8_t>(b) >> 4]);
    out.push_back(kDigits[static_cast<std::uint8_t>(b) & 15]);
  }
  return out;
}

std::string_view AsKey(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace modelfs
