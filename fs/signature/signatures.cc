#include "fs/signature/signatures.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "fetch/base/await.h"
#include "fetch/base/handle.h"
#include "fetch/base/sha256.h"

namespace modelfs::fs {
namespace {

using DigestContext = Handle<EVP_MD_CTX, EVP_MD_CTX_free>;

constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
/// How often somebody who waits looks whether the mount ends.
constexpr std::chrono::milliseconds kLook{100};

/// Whether a signature was read and found wanting; else it could not be read.
bool IsJudgement(Errc code) {
  return code == Errc::kDenied || code == Errc::kCorrupt || code == Errc::kInvalid;
}

/// Computes one digest by OpenSSL's name of it.
class Digest {
 public:
  explicit Digest(const std::string& name) : context_(EVP_MD_CTX_new()) {
    const EVP_MD* const algorithm = EVP_get_digestbyname(name.c_str());
    good_ = context_ && algorithm != nullptr &&
            EVP_DigestInit_ex(context_.get(), algorithm, nullptr) == 1;
  }
  void Update(std::span<const std::byte> bytes) {
    good_ = good_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
  }
  /// In hexadecimal; empty when something failed.
  std::string Finish() {
    std::byte digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    good_ = good_ && EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest),
                                        &size) == 1;
    return good_ ? Hex(std::span(digest).first(size)) : "";
  }

 private:
  DigestContext context_;
  bool good_ = false;
};

}  // namespace

void Signatures::Admit(std::uint64_t file, const std::shared_ptr<index::CachedObject>& object,
                       Done<void> done) {
  const bool enforce = options_.policy == SignaturePolicy::kEnforce;
  const auto place = options_.tree->SignatureOf(file);
  if (!place) {
    if (!enforce) return done({});
    return done(Fail(Errc::kDenied, fmt::format("{}: no {} above it, and signature is 'enforce'",
                                                object->id().Describe(), kSignatureName)));
  }
  if (place->signature == file) return done({});
  // A file that is not whole is not downloaded for a warning.
  if (!enforce && !object->Status().whole) {
    options_.pool->Post([self = shared_from_this(), place] { self->ManifestAt(place->signature); });
    return done({});
  }
  std::vector<Done<void>> ready;  // Who need not wait.
  Result<void> known;
  bool first = false;
  {
    MutexLock lock(mutex_);
    const auto [found, added] = verdicts_.try_emplace(file);
    first = added;
    Verdict& verdict = found->second;
    if (enforce && verdict.settled) known = verdict.result;
    const bool waits = enforce && !verdict.settled;
    (waits ? verdict.waiting : ready).push_back(std::move(done));
  }
  if (first) {
    options_.pool->Post([self = shared_from_this(), file, place = *place, object] {
      self->Compare(file, place, *object);
    });
  }
  for (auto& each : ready) each(known);
}

std::string Signatures::StateOf(std::uint64_t file) const {
  if (!options_.tree->SignatureOf(file)) return "none";
  MutexLock lock(mutex_);
  const auto found = verdicts_.find(file);
  if (found == verdicts_.end() || !found->second.settled) return "unchecked";
  return found->second.result ? "valid" : "invalid";
}

void Signatures::Compare(std::uint64_t file, const SignedPlace& place,
                         index::CachedObject& object) {
  Result<void> result = Judge(place, object);
  if (!result && result.error().code == Errc::kDenied) {
    spdlog::error("signature.mismatch object=\"{}\" reason=\"{}\"", object.id().Describe(),
                  result.error().what);
  }
  std::vector<Done<void>> waiting;
  {
    MutexLock lock(mutex_);
    const auto verdict = verdicts_.find(file);
    waiting = std::move(verdict->second.waiting);
    if (result || result.error().code == Errc::kDenied) {
      verdict->second.settled = true;
      verdict->second.result = result;
    } else {
      verdicts_.erase(verdict);  // It could not be read: the next open tries again.
    }
  }
  for (auto& done : waiting) done(result);
}

/// Errors: kDenied: it is not what was signed.
Result<void> Signatures::Judge(const SignedPlace& place, index::CachedObject& object) {
  const Manifest manifest = ManifestAt(place.signature);
  if (!*manifest) {
    const Error& error = manifest->error();
    return Fail(IsJudgement(error.code) ? Errc::kDenied : error.code, error.what);
  }
  const auto wanted = (*manifest)->files.find(place.path);
  if (wanted == (*manifest)->files.end()) {
    return Fail(Errc::kDenied, fmt::format("{} does not name it", kSignatureName));
  }
  Digest digest(wanted->second.algorithm);
  auto read = ReadAll(object, [&](std::span<const std::byte> bytes) { digest.Update(bytes); });
  if (!read) return read;
  if (digest.Finish() == wanted->second.digest) return {};
  return Fail(Errc::kDenied, fmt::format("its {} is not the one that {} names",
                                         wanted->second.algorithm, kSignatureName));
}

Signatures::Manifest Signatures::ManifestAt(std::uint64_t signature) {
  {
    MutexLock lock(mutex_);
    const auto known = manifests_.find(signature);
    if (known != manifests_.end()) return known->second;
  }
  auto read = ReadManifest(signature);
  const bool judged = read || IsJudgement(read.error().code);
  if (read) {
    spdlog::info("signature.valid node={} files={}", signature, read->files.size());
  } else {
    spdlog::error("signature.invalid node={} reason=\"{}\"", signature, read.error().what);
  }
  auto manifest = std::make_shared<const Result<SignedManifest>>(std::move(read));
  if (judged) {
    MutexLock lock(mutex_);
    manifests_.emplace(signature, manifest);
  }
  return manifest;
}

Result<SignedManifest> Signatures::ReadManifest(std::uint64_t signature) {
  auto object = options_.tree->Open(signature);
  if (!object) return std::unexpected(object.error());
  if ((*object)->id().size_bytes > kMaxSignatureBytes) {
    return Fail(Errc::kInvalid, fmt::format("{} has more than {} bytes", (*object)->id().Describe(),
                                            kMaxSignatureBytes));
  }
  std::string text;
  auto read = ReadAll(**object, [&](std::span<const std::byte> bytes) {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  if (!read) return std::unexpected(read.error());
  auto manifest = ReadBundle(text, options_.anchor);
  if (manifest) return manifest;
  return Fail(manifest.error().code,
              fmt::format("{}: {}", (*object)->id().Describe(), manifest.error().what));
}

/// All of `object`, in order, once it is whole.
template <class Visit>
Result<void> Signatures::ReadAll(index::CachedObject& object, Visit visit) {
  auto whole = AwaitCall<void>(
      [&](Done<void> done) { object.FetchAll(index::Priority::kDemand, std::move(done)); });
  if (!whole) return whole;
  // Shared: a read that nobody waits for any more still writes there.
  const auto block = std::make_shared<std::vector<std::byte>>(kBlockBytes);
  for (std::uint64_t offset = 0; offset < object.id().size_bytes;) {
    auto got = AwaitCall<std::size_t>([&](Done<std::size_t> done) {
      object.Read(offset, *block, [block, done = std::move(done)](Result<std::size_t> n) mutable {
        done(std::move(n));
      });
    });
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return Fail(Errc::kIo, "the object ended early");
    visit(std::span(*block).first(*got));
    offset += *got;
  }
  return {};
}

template <class T, class Start>
Result<T> Signatures::AwaitCall(Start start) {
  Await<T> call;
  start(call.done());
  for (;;) {
    auto result = call.Wait(kLook);
    if (call.calls() > 0) return call.Wait(kLook);
    if (stopping_) return Fail(Errc::kCancelled, "the mount ends");
  }
}

}  // namespace modelfs::fs
