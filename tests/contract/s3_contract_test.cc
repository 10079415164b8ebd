// What S3Origin says of wrong keys, buckets and endpoints, on servers that verify signatures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "tests/contract/origin_fixture.h"
#include "tests/support/child_process.h"

namespace modelfs::test {
namespace {

using testing::HasSubstr;

template <class Host>
class S3Contract : public OriginFixture<Host> {
 protected:
  /// The bucket's folder of this test, opened with `settings`.
  std::shared_ptr<fetch::Origin> OpenWith(const fetch::OriginSettings& settings,
                                          const std::string& uri) {
    auto origin = fetch::MakeOrigin(this->context(), uri, settings);
    if (origin) return *std::move(origin);
    ADD_FAILURE() << origin.error().what;
    return nullptr;
  }
  std::string Uri() const { return fmt::format("s3://{}/{}", S3Host::kBucket, this->Folder()); }

  /// What every operation says with `settings`.
  void ExpectDenied(const fetch::OriginSettings& settings, const std::string& text) {
    this->Put("a", "x");
    const auto object = this->Pin(*this->Open(), "a");
    const auto origin = OpenWith(settings, Uri());
    const auto list = this->List(*origin);
    ASSERT_FALSE(list);
    EXPECT_EQ(list.error().code, Errc::kDenied) << list.error().what;
    EXPECT_THAT(list.error().what, HasSubstr(text));
    const auto read = this->Read(*origin, object, {0, 1});
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::kDenied) << read.error().what;
    const auto probe = this->Probe(*origin);
    ASSERT_FALSE(probe);
    EXPECT_EQ(probe.error().code, Errc::kDenied) << probe.error().what;
    EXPECT_THAT(probe.error().what, HasSubstr(text));
    if (!settings.secret_access_key.empty()) {
      EXPECT_THAT(probe.error().what, testing::Not(HasSubstr(settings.secret_access_key)));
    }
  }
};

using Hosts = testing::Types<EmbeddedHost, VersitygwHost>;
TYPED_TEST_SUITE(S3Contract, Hosts, HostNames);

TYPED_TEST(S3Contract, NamesAWrongSecret) {
  fetch::OriginSettings settings = this->host().settings();
  settings.secret_access_key = "another-secret";
  this->ExpectDenied(settings, "secret key");
}

TYPED_TEST(S3Contract, NamesAnUnknownAccessKey) {
  fetch::OriginSettings settings = this->host().settings();
  settings.access_key_id = "nobody-we-know";
  this->ExpectDenied(settings, "nobody-we-know");
}

TYPED_TEST(S3Contract, SaysThatAnonymousIsNotEnough) {
  fetch::OriginSettings settings = this->host().settings();
  settings.anonymous = true;
  this->ExpectDenied(settings, "anonymous");
}

TYPED_TEST(S3Contract, NamesAMissingBucket) {
  const auto origin = this->OpenWith(this->host().settings(), "s3://no-such-bucket");
  const auto probe = this->Probe(*origin);
  ASSERT_FALSE(probe);
  EXPECT_EQ(probe.error().code, Errc::kNotFound) << probe.error().what;
  EXPECT_THAT(probe.error().what, HasSubstr("no-such-bucket"));
  EXPECT_EQ(this->List(*origin).error().code, Errc::kNotFound);
}

TYPED_TEST(S3Contract, NamesAPrefixWithoutKeys) {
  const auto origin = this->OpenWith(this->host().settings(), this->Uri() + "/nothing");
  const auto probe = this->Probe(*origin);
  ASSERT_FALSE(probe);
  EXPECT_EQ(probe.error().code, Errc::kNotFound) << probe.error().what;
  EXPECT_THAT(probe.error().what, HasSubstr("nothing"));
}

TYPED_TEST(S3Contract, NamesAnEndpointWhereNobodyListens) {
  fetch::OriginSettings settings = this->host().settings();
  settings.s3_endpoint = fmt::format("http://127.0.0.1:{}", FreePort());
  const auto start = std::chrono::steady_clock::now();
  const auto probe = this->Probe(*this->OpenWith(settings, this->Uri()));
  ASSERT_FALSE(probe);
  EXPECT_THAT(probe.error().what, HasSubstr(settings.s3_endpoint));
  EXPECT_LT(std::chrono::steady_clock::now() - start, this->kProbeDeadline);
}

TYPED_TEST(S3Contract, NamesAnEndpointThatSpeaksNoTls) {
  fetch::OriginSettings settings = this->host().settings();
  settings.s3_endpoint = "https" + settings.s3_endpoint.substr(4);
  const auto probe = this->Probe(*this->OpenWith(settings, this->Uri()));
  ASSERT_FALSE(probe);
  EXPECT_THAT(probe.error().what, HasSubstr(settings.s3_endpoint));
}

TYPED_TEST(S3Contract, ServesTheWholeBucketWithoutAPrefix) {
  this->Put("file", "x");
  const auto origin = this->OpenWith(this->host().settings(), "s3://models");
  EXPECT_THAT(this->Names(this->List(*origin)), testing::Contains(this->Folder() + "/"));
  const auto object = this->Pin(*origin, "file", this->Folder() + "/");
  EXPECT_EQ(object, this->Pin(*this->Open(), "file"));
}

}  // namespace
}  // namespace modelfs::test
