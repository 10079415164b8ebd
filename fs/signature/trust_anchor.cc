#include "fs/signature/trust_anchor.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <utility>

#include "fetch/base/sha256.h"
#include "fetch/base/small_file.h"

namespace modelfs::fs {
namespace {

using Bio = Handle<BIO, BIO_free_all>;
using Store = Handle<X509_STORE, X509_STORE_free>;
using StoreContext = Handle<X509_STORE_CTX, X509_STORE_CTX_free>;
using DigestContext = Handle<EVP_MD_CTX, EVP_MD_CTX_free>;

constexpr std::size_t kMaxPemBytes = std::size_t{4} << 20;

void FreeChain(STACK_OF(X509) * chain) { sk_X509_free(chain); }
using Chain = Handle<STACK_OF(X509), FreeChain>;

Bio Reading(std::string_view bytes) {
  return Bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// As the format has it: by the size of the curve. Null: a key of another kind.
const EVP_MD* DigestFor(const EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return nullptr;
  switch (EVP_PKEY_get_bits(key)) {
    case 256: return EVP_sha256();
    case 384: return EVP_sha384();
    case 521: return EVP_sha512();
    default: return nullptr;
  }
}

/// SHA-256 of its SubjectPublicKeyInfo in PEM.
std::string HintOf(EVP_PKEY* key) {
  const Bio out(BIO_new(BIO_s_mem()));
  if (!out || PEM_write_bio_PUBKEY(out.get(), key) != 1) return "";
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return Hex(Sha256(std::string_view(data, static_cast<std::size_t>(size))));
}

/// Whether a certificate is one to sign with.
bool MaySign(X509* certificate) {
  const std::uint32_t flags = X509_get_extension_flags(certificate);
  const bool signs =
      (flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) != 0;
  const bool signs_code = (flags & EXFLAG_XKUSAGE) != 0 &&
                          (X509_get_extended_key_usage(certificate) & XKU_CODE_SIGN) != 0;
  return signs || signs_code;
}

}  // namespace

Result<TrustAnchor> TrustAnchor::LoadKey(const std::string& path) {
  auto pem = ReadSmallFile(path, kMaxPemBytes);
  if (!pem) return std::unexpected(pem.error());
  TrustAnchor anchor;
  anchor.key_.reset(PEM_read_bio_PUBKEY(Reading(*pem).get(), nullptr, nullptr, nullptr));
  if (!anchor.key_ || DigestFor(anchor.key_.get()) == nullptr) {
    ERR_clear_error();
    return Fail(Errc::kInvalid, fmt::format("signature_key {} is no public key in PEM on P-256, "
                                            "P-384 or P-521",
                                            path));
  }
  return anchor;
}

Result<TrustAnchor> TrustAnchor::LoadCertificates(const std::string& path) {
  auto pem = ReadSmallFile(path, kMaxPemBytes);
  if (!pem) return std::unexpected(pem.error());
  TrustAnchor anchor;
  const Bio in = Reading(*pem);
  while (X509* certificate = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) {
    anchor.authorities_.emplace_back(certificate);
  }
  ERR_clear_error();
  if (anchor.authorities_.empty()) {
    return Fail(Errc::kInvalid, fmt::format("signature_ca {} holds no certificate in PEM", path));
  }
  return anchor;
}

Result<TrustAnchor::Key> TrustAnchor::SignerOf(const Material& material) const {
  if (key_) {
    if (!material.certificates.empty()) {
      return Fail(Errc::kDenied, "it was signed with a certificate, and signature_key is a key");
    }
    if (!material.key_hint.empty() && material.key_hint != HintOf(key_.get())) {
      return Fail(Errc::kDenied, "it was signed with another key than signature_key");
    }
    EVP_PKEY_up_ref(key_.get());
    return Key(key_.get());
  }
  if (material.certificates.empty()) {
    return Fail(Errc::kDenied, "it was signed with a key, and signature_ca wants a certificate");
  }
  std::vector<Certificate> given;
  for (const std::string& der : material.certificates) {
    const unsigned char* at = Bytes(der);
    given.emplace_back(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (!given.back()) return Fail(Errc::kDenied, "it holds something that is no certificate");
  }
  const Store store(X509_STORE_new());
  const Chain others(sk_X509_new_null());
  const StoreContext context(X509_STORE_CTX_new());
  if (!store || !others || !context) return Fail(Errc::kIo, "out of memory");
  for (const Certificate& authority : authorities_)
    X509_STORE_add_cert(store.get(), authority.get());
  for (std::size_t i = 1; i < given.size(); ++i) sk_X509_push(others.get(), given[i].get());
  X509* const signer = given.front().get();
  X509_STORE_CTX_init(context.get(), store.get(), signer, others.get());
  // A model outlives the certificate that it was signed with: it must have been good when it began.
  tm began{};
  ASN1_TIME_to_tm(X509_get0_notBefore(signer), &began);
  X509_STORE_CTX_set_time(context.get(), 0, ::timegm(&began));
  if (X509_verify_cert(context.get()) != 1) {
    const int error = X509_STORE_CTX_get_error(context.get());
    return Fail(Errc::kDenied,
                fmt::format("its certificate is not one that signature_ca vouches for: {}",
                            X509_verify_cert_error_string(error)));
  }
  if (!MaySign(signer)) return Fail(Errc::kDenied, "its certificate is not one to sign with");
  return Key(X509_get_pubkey(signer));
}

Result<void> TrustAnchor::Check(const Material& material, std::string_view bytes,
                                std::string_view signature) const {
  auto signer = SignerOf(material);
  if (signer && !*signer) signer = Fail(Errc::kDenied, "its certificate has no key");
  if (!signer) {
    ERR_clear_error();
    return std::unexpected(signer.error());
  }
  const EVP_MD* const digest = DigestFor(signer->get());
  if (digest == nullptr) return Fail(Errc::kDenied, "its key is not on P-256, P-384 or P-521");
  const DigestContext context(EVP_MD_CTX_new());
  const bool good =
      context &&
      EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, signer->get()) == 1 &&
      EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(bytes),
                       bytes.size()) == 1;
  ERR_clear_error();
  if (good) return {};
  return Fail(Errc::kDenied, "its signature is not that of its content");
}

}  // namespace modelfs::fs
