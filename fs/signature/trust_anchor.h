#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"

namespace modelfs::fs {

/// Whose signatures count: one public key, or whatever certificate authorities vouch for.
/// Threads: const methods from any.
/// One that was not loaded trusts nobody.
class TrustAnchor {
 public:
  /// A public key in PEM. Errors: kInvalid (none, or not on P-256, P-384 or P-521), those of
  /// reading the file; the text names it.
  static Result<TrustAnchor> LoadKey(const std::string& path);
  /// Certificates in PEM that a chain must end with. Errors: as LoadKey.
  static Result<TrustAnchor> LoadCertificates(const std::string& path);

  /// What a bundle says that it was signed with.
  struct Material {
    std::string key_hint;                   ///< SHA-256 in hex of the key's PEM; may be empty.
    std::vector<std::string> certificates;  ///< DER, the signer's first.
  };
  /// Whether `signature` (ECDSA, DER) over `bytes` is that of somebody we trust.
  /// Errors: kDenied, saying why not.
  Result<void> Check(const Material& material, std::string_view bytes,
                     std::string_view signature) const;

 private:
  using Key = Handle<EVP_PKEY, EVP_PKEY_free>;
  using Certificate = Handle<X509, X509_free>;

  Result<Key> SignerOf(const Material& material) const;

  Key key_;
  std::vector<Certificate> authorities_;
};

}  // namespace modelfs::fs
