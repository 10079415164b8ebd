#pragma once

#include <map>
#include <string>
#include <string_view>

#include "fetch/base/error.h"
#include "fs/signature/trust_anchor.h"

namespace modelfs::fs {

/// What somebody signed: the digest of each file of a model, by its path below the `model.sig`.
struct SignedManifest {
  struct File {
    std::string algorithm;  ///< As OpenSSL calls it: "SHA256", "BLAKE2b512".
    std::string digest;     ///< Lower-case hexadecimal.
  };
  std::map<std::string, File, std::less<>> files;
};

inline constexpr std::size_t kMaxSignatureBytes = std::size_t{64} << 20;

/// Reads a sigstore bundle (v0.3 JSON) with a DSSE envelope around an in-toto statement of model
/// signing v1.0, and checks its signature. `bundle` comes from whoever can write to the model.
/// Errors: kCorrupt (no such bundle, or it contradicts itself), kInvalid (a kind that is not
/// understood), kDenied (its signature does not hold).
Result<SignedManifest> ReadBundle(std::string_view bundle, const TrustAnchor& anchor);

/// The statement of a bundle whose signature was checked. Errors: as ReadBundle, but kDenied.
Result<SignedManifest> ReadStatement(std::string_view payload);

}  // namespace modelfs::fs
