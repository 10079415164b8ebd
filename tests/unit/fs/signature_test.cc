#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "fetch/base/base64.h"
#include "fetch/base/handle.h"
#include "fetch/base/sha256.h"
#include "fs/signature/signed_manifest.h"
#include "fs/signature/trust_anchor.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;
using Key = Handle<EVP_PKEY, EVP_PKEY_free>;

constexpr const char* kType = "application/vnd.in-toto+json";

std::string PemOf(EVP_PKEY* key) {
  const Handle<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(out.get(), key);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string Sign(EVP_PKEY* key, const EVP_MD* digest, const std::string& bytes) {
  const Handle<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  std::string signature(256, '\0');
  std::size_t size = signature.size();
  EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key);
  EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                 reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  signature.resize(size);
  return signature;
}

/// A statement about two files, as the tool writes it.
json Statement() {
  const std::string a = Hex(Sha256("a"));
  const std::string b = Hex(Sha256("b"));
  std::string both(AsKey(Sha256("a")));
  both += AsKey(Sha256("b"));
  return {{"_type", "https://in-toto.io/Statement/v1"},
          {"subject", {{{"name", "m"}, {"digest", {{"sha256", Hex(Sha256(both))}}}}}},
          {"predicateType", "https://model_signing/signature/v1.0"},
          {"predicate",
           {{"serialization", {{"method", "files"}, {"hash_type", "sha256"}}},
            {"resources",
             {{{"name", "a.bin"}, {"algorithm", "sha256"}, {"digest", a}},
              {{"name", "d/b.bin"}, {"algorithm", "sha256"}, {"digest", b}}}}}}};
}

class SignatureTest : public ::testing::TestWithParam<std::pair<const char*, const EVP_MD* (*)()>> {
 protected:
  SignatureTest() : key_(EVP_EC_gen(GetParam().first)) {
    std::ofstream(path_) << PemOf(key_.get());
  }
  json Bundle(const json& statement) const {
    const std::string payload = statement.dump();
    const std::string signed_bytes =
        "DSSEv1 28 " + std::string(kType) + " " + std::to_string(payload.size()) + " " + payload;
    const std::string signature = Sign(key_.get(), GetParam().second(), signed_bytes);
    return {{"mediaType", "application/vnd.dev.sigstore.bundle.v0.3+json"},
            {"verificationMaterial",
             {{"publicKey", {{"hint", Hex(Sha256(PemOf(key_.get())))}}},
              {"tlogEntries", json::array()}}},
            {"dsseEnvelope",
             {{"payload", Base64Encode(payload)},
              {"payloadType", kType},
              {"signatures", {{{"sig", Base64Encode(signature)}, {"keyid", ""}}}}}}};
  }
  Result<SignedManifest> Read(const json& bundle) const {
    return ReadBundle(bundle.dump(), *TrustAnchor::LoadKey(path_));
  }

  const test::TempDir dir_;
  const std::string path_ = dir_.path() / "key.pub";
  const Key key_;
};

TEST_P(SignatureTest, SaysWhatEachFileIs) {
  const auto manifest = Read(Bundle(Statement()));
  ASSERT_TRUE(manifest) << manifest.error().what;
  ASSERT_EQ(manifest->files.size(), 2u);
  EXPECT_EQ(manifest->files.at("d/b.bin").digest, Hex(Sha256("b")));
  EXPECT_EQ(manifest->files.at("d/b.bin").algorithm, "SHA256");
}

TEST_P(SignatureTest, ChangedContentIsNotSigned) {
  json statement = Statement();
  json bundle = Bundle(statement);
  statement["predicate"]["resources"][0]["digest"] = Hex(Sha256("evil"));
  bundle["dsseEnvelope"]["payload"] = Base64Encode(statement.dump());
  const auto read = Read(bundle);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kDenied) << read.error().what;
}

TEST_P(SignatureTest, AnotherKeyIsNotTrusted) {
  json bundle = Bundle(Statement());
  const Key other(EVP_EC_gen(GetParam().first));
  std::ofstream(path_) << PemOf(other.get());
  EXPECT_EQ(Read(bundle).error().code, Errc::kDenied);
  bundle["verificationMaterial"]["publicKey"]["hint"] = "";
  EXPECT_EQ(Read(bundle).error().code, Errc::kDenied) << "nor without a hint";
  EXPECT_EQ(ReadBundle(bundle.dump(), TrustAnchor()).error().code, Errc::kDenied)
      << "who was not loaded trusts nobody";
}

TEST_P(SignatureTest, RefusesWhatContradictsItself) {
  json twice = Statement();
  twice["predicate"]["resources"][1]["name"] = "a.bin";
  EXPECT_EQ(Read(Bundle(twice)).error().code, Errc::kCorrupt);
  json other_sum = Statement();
  other_sum["subject"][0]["digest"]["sha256"] = Hex(Sha256("x"));
  EXPECT_EQ(Read(Bundle(other_sum)).error().code, Errc::kCorrupt);
  json shards = Statement();
  shards["predicate"]["serialization"]["method"] = "shards";
  EXPECT_EQ(Read(Bundle(shards)).error().code, Errc::kInvalid);
  json old = Statement();
  old["predicateType"] = "https://model_signing/Digests/v0.1";
  EXPECT_EQ(Read(Bundle(old)).error().code, Errc::kInvalid);
  json unknown = Statement();
  unknown["predicate"]["resources"][0]["algorithm"] = "blake3";
  EXPECT_EQ(Read(Bundle(unknown)).error().code, Errc::kInvalid);
}

TEST_P(SignatureTest, RefusesWhatIsNoBundle) {
  const TrustAnchor anchor = *TrustAnchor::LoadKey(path_);
  for (const std::string text : {"", "{}", "[]", "null", "{\"dsseEnvelope\": 1}"}) {
    const auto read = ReadBundle(text, anchor);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Errc::kCorrupt) << text;
  }
  EXPECT_FALSE(ReadBundle(std::string(100'000, '['), anchor));
  for (const char* field : {"payload", "payloadType", "signatures"}) {
    json bundle = Bundle(Statement());
    bundle["dsseEnvelope"][field] = 7;
    EXPECT_EQ(Read(bundle).error().code, Errc::kCorrupt) << field;
  }
  json two = Bundle(Statement());
  two["dsseEnvelope"]["signatures"].push_back(two["dsseEnvelope"]["signatures"][0]);
  EXPECT_EQ(Read(two).error().code, Errc::kCorrupt);
}

INSTANTIATE_TEST_SUITE_P(Curves, SignatureTest,
                         ::testing::Values(std::pair("P-256", &EVP_sha256),
                                           std::pair("P-384", &EVP_sha384),
                                           std::pair("P-521", &EVP_sha512)));

TEST(TrustAnchor, NamesTheFileThatIsNone) {
  const test::TempDir dir;
  const std::string path = dir.path() / "key";
  EXPECT_EQ(TrustAnchor::LoadKey(path).error().code, Errc::kNotFound);
  std::ofstream(path) << "no key";
  for (const auto& loaded :
       {TrustAnchor::LoadKey(path).error(), TrustAnchor::LoadCertificates(path).error()}) {
    EXPECT_EQ(loaded.code, Errc::kInvalid);
    EXPECT_NE(loaded.what.find(path), std::string::npos);
  }
  const Key ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  std::ofstream(path) << PemOf(ed25519.get());
  EXPECT_EQ(TrustAnchor::LoadKey(path).error().code, Errc::kInvalid) << "another kind of key";
}

}  // namespace
}  // namespace modelfs::fs
