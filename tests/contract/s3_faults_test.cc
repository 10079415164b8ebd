// S3Origin on an S3 server that misbehaves by script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fetch/s3/s3_origin.h"
#include "tests/contract/origin_fixture.h"
#include "tests/support/test_certificate.h"

namespace modelfs::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Kind = Fault::Kind;

constexpr std::size_t kSize = 3'000'017;
constexpr std::uint64_t kSeed = 11;

class S3FaultsTest : public OriginFixture<EmbeddedHost> {
 protected:
  void SetUp() override {
    OriginFixture::SetUp();
    Put("weights", PatternText(kSeed, kSize));
    origin_ = Open();
    object_ = Pin(*origin_, "weights");
    server().ResetLog();
  }
  void TearDown() override {
    server().SetFaults({});
    server().Release();
    server().SetLink({});
  }
  EmbeddedOrigin& server() { return host().origin(); }
  /// The next GETs of the object get one fault each.
  void Script(std::vector<Fault> faults) {
    std::vector<FaultRule> rules;
    rules.reserve(faults.size());
    for (Fault& fault : faults) {
      rules.push_back(
          {.method = "GET", .key = Folder() + "/weights", .faults = {std::move(fault)}});
    }
    server().SetFaults(std::move(rules));
  }
  /// All following GETs of the object get `fault`.
  void Always(Fault fault) {
    server().SetFaults({{.method = "GET",
                         .key = Folder() + "/weights",
                         .count = 0,
                         .faults = {std::move(fault)}}});
  }
  std::vector<ByteRange> Ranges() {
    std::vector<ByteRange> ranges;
    for (const LogEntry& entry : server().Log()) {
      if (entry.range) ranges.push_back(*entry.range);
    }
    return ranges;
  }
  /// An origin whose patience is short.
  std::shared_ptr<fetch::Origin> OpenImpatient() {
    const fetch::OriginSettings& settings = host().settings();
    fetch::S3Origin::Options options;
    options.uri = *fetch::S3Uri::Parse(fmt::format("s3://{}/{}", S3Host::kBucket, Folder()));
    options.endpoint = settings.s3_endpoint;
    options.credentials = std::make_shared<fetch::StaticCredentials>(
        fetch::Credentials{.access_key_id = settings.access_key_id,
                           .secret_access_key = settings.secret_access_key,
                           .session_token = {}});
    options.transport = &context().transport();
    options.timer = &context().timer();
    options.budget = context().BudgetFor(settings.s3_endpoint);
    options.random = context().random();
    options.list_retry.patience = options.read_retry.patience = std::chrono::milliseconds(0);
    options.list_retry.max_attempts = options.read_retry.max_attempts = 3;
    options.stall_timeout = std::chrono::seconds(1);
    return *fetch::S3Origin::Create(std::move(options));
  }
  Errc ReadError(const std::shared_ptr<fetch::Origin>& origin) {
    const auto read = Read(*origin, object_, {100, 2000});
    if (!read) last_error_ = read.error().what;
    EXPECT_FALSE(read);
    return read ? Errc{} : read.error().code;
  }

  std::shared_ptr<fetch::Origin> origin_;
  fetch::ObjectId object_;
  std::string last_error_;
};

TEST_F(S3FaultsTest, ReadsARangeWithOneRequest) {
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {5, kSize}, kSeed));
  EXPECT_EQ(server().Stats().requests, 1u);
  EXPECT_EQ(server().Stats().object_body_bytes, kSize - 5);
}

TEST_F(S3FaultsTest, ResumesAfterDropsWithoutAskingTwice) {
  Script({{.kind = Kind::kDrop, .count_bytes = 1'000'000},
          {.kind = Kind::kDrop, .count_bytes = 0},
          {.kind = Kind::kDrop, .count_bytes = 1}});
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {0, kSize}, kSeed));
  EXPECT_THAT(Ranges(), ElementsAre(ByteRange{0, kSize}, ByteRange{1'000'000, kSize},
                                    ByteRange{1'000'000, kSize}, ByteRange{1'000'001, kSize}));
  EXPECT_EQ(server().Stats().object_body_bytes, kSize);
}

TEST_F(S3FaultsTest, TriesAgainAfterServerErrors) {
  Script({{.kind = Kind::kStatus, .status = 500},
          {.kind = Kind::kStatus, .status = 503, .code = "SlowDown"},
          {.kind = Kind::kStatus, .status = 502, .code = "BadGateway"},
          {.kind = Kind::kStatus, .status = 400, .code = "RequestTimeout"}});
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {1000, 2000}, kSeed));
  EXPECT_EQ(server().Stats().object_gets, 5u);
}

TEST_F(S3FaultsTest, GivesUpInTheEnd) {
  Always({.kind = Kind::kStatus, .status = 500});
  EXPECT_EQ(ReadError(OpenImpatient()), Errc::kTransient);
  EXPECT_EQ(server().Stats().object_gets, 3u);
}

TEST_F(S3FaultsTest, DoesNotRepeatWhatCannotSucceed) {
  Script({{.kind = Kind::kStatus, .status = 403}});
  EXPECT_EQ(ReadError(origin_), Errc::kDenied);
  EXPECT_EQ(server().Stats().object_gets, 1u);
}

TEST_F(S3FaultsTest, BelievesNoWrongContentRange) {
  Script({{.kind = Kind::kWrongContentRange}});
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {100, 2000}, kSeed));
  Always({.kind = Kind::kWrongContentRange});
  EXPECT_EQ(ReadError(OpenImpatient()), Errc::kCorrupt);
}

TEST_F(S3FaultsTest, CutsTheRangeOutOfAWholeBody) {
  Always({.kind = Kind::kIgnoreRange});
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {100, 2000}, kSeed));
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {0, kSize}, kSeed));
}

TEST_F(S3FaultsTest, AsksForWhatAShortBodyLacked) {
  Script({{.kind = Kind::kShortBody, .count_bytes = 1000}});
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {100, 2000}, kSeed));
}

TEST_F(S3FaultsTest, TakesNoMoreThanTheRangeOfALongBody) {
  Script({{.kind = Kind::kLongBody, .count_bytes = 1000}});
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {100, 2000}, kSeed));
}

TEST_F(S3FaultsTest, ReadsAChunkedBody) {
  Script({{.kind = Kind::kChunked}});
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {100, kSize}, kSeed));
}

TEST_F(S3FaultsTest, DoesNotDecodeWhatIsCalledGzip) {
  Script({{.kind = Kind::kGzipHeader}});
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {100, 2000}, kSeed));
}

TEST_F(S3FaultsTest, RefusesAnotherEtag) {
  Script({{.kind = Kind::kStaleEtag}});
  EXPECT_EQ(ReadError(origin_), Errc::kChanged);
}

TEST_F(S3FaultsTest, FollowsNoRedirect) {
  const auto other = EmbeddedOrigin::Start({});
  ASSERT_TRUE(other);
  (*other)->objects().PutPattern("models", Folder() + "/weights", kSize, kSeed);
  Always({.kind = Kind::kRedirect,
          .status = 307,
          .location = (*other)->Url() + "/models/" + Folder() + "/weights"});
  EXPECT_NE(ReadError(OpenImpatient()), Errc{});
  EXPECT_EQ((*other)->Stats().requests, 0u);
}

TEST_F(S3FaultsTest, LeavesAConnectionThatStalls) {
  Script({{.kind = Kind::kStall, .count_bytes = 1000}});
  EXPECT_TRUE(ReadsPattern(*OpenImpatient(), object_, {0, kSize}, kSeed));
  EXPECT_THAT(Ranges(), ElementsAre(ByteRange{0, kSize}, ByteRange{1000, kSize}));
}

TEST_F(S3FaultsTest, LeavesAConnectionThatCrawls) {
  Script({{.kind = Kind::kRate, .rate = 1}});
  EXPECT_TRUE(ReadsPattern(*OpenImpatient(), object_, {0, kSize}, kSeed));
  EXPECT_EQ(server().Stats().object_gets, 2u);
}

TEST_F(S3FaultsTest, EndsWhatStallsWhenItIsDestroyed) {
  Always({.kind = Kind::kStall, .count_bytes = 1000});
  Await<void> done;
  origin_->Read(object_, {0, kSize}, std::make_shared<CollectingSink>(), done.done());
  ASSERT_TRUE(server().WaitForStalled(1, std::chrono::seconds(10)));
  origin_.reset();
  const auto read = done.Wait(std::chrono::seconds(10));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kCancelled) << read.error().what;
}

TEST_F(S3FaultsTest, AsksAgainForAListingThatIsNoXml) {
  server().SetFaults(
      {{.method = "LIST", .key = Folder(), .faults = {{.kind = Kind::kBrokenXml}}},
       {.method = "LIST", .key = Folder(), .faults = {{.kind = Kind::kStatus, .status = 500}}}});
  EXPECT_THAT(Names(List(*origin_)), ElementsAre("weights"));
  EXPECT_EQ(server().Stats().list_requests, 3u);
}

TEST_F(S3FaultsTest, WaitsAsLongAsTheServerAsks) {
  Script({{.kind = Kind::kStatus, .status = 503, .retry_after = 1}});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(ReadsPattern(*origin_, object_, {100, 2000}, kSeed));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1000));
}

TEST_F(S3FaultsTest, ReusesItsConnections) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(ReadsPattern(*origin_, object_, {0, 100}, kSeed));
  }
  std::set<std::uint64_t> connections;
  for (const LogEntry& entry : server().Log()) connections.insert(entry.connection);
  EXPECT_LE(connections.size(), 2u);  // One for each http thread.
}

TEST_F(S3FaultsTest, KeepsHostileKeysApart) {
  const std::vector<std::string> keys = {"..",     "../up",         "./dot",
                                         "a//b",   "nul\x01\n\x7f", "both",
                                         "both/x", "raw\xff\xfe",   std::string(300, 'l')};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    server().objects().PutPattern("hostile", keys[i], 100 + i, i);
  }
  const auto origin = *fetch::MakeOrigin(context(), "s3://hostile", host().settings());
  const auto root = List(*origin);
  ASSERT_TRUE(root) << root.error().what;
  for (const fetch::Entry& entry : root->entries) {
    EXPECT_FALSE(entry.name.empty());
    EXPECT_EQ(entry.name.find('/'), std::string::npos);
  }
  EXPECT_THAT(Names(root),
              testing::IsSupersetOf({"../", "./", "a/", "nul\x01\n\x7f", "raw\xff\xfe"}));
  struct Place {
    std::string directory, name;
    std::size_t key;
  };
  for (const auto& [directory, name, key] :
       {Place{"", "..", 0}, Place{"../", "up", 1}, Place{"./", "dot", 2},
        Place{"", "nul\x01\n\x7f", 4}, Place{"", "both", 5}, Place{"both/", "x", 6},
        Place{"", "raw\xff\xfe", 7}, Place{"", std::string(300, 'l'), 8}}) {
    const auto object = Pin(*origin, name, directory);
    EXPECT_TRUE(ReadsPattern(*origin, object, {0, 100 + key}, key)) << directory << name;
  }
}

TEST_F(S3FaultsTest, LearnsTheRegionOfTheBucket) {
  const auto other =
      EmbeddedOrigin::Start({.access_key = "k", .secret_key = "s", .region = "eu-west-7"});
  ASSERT_TRUE(other);
  (*other)->objects().PutPattern("models", "weights", kSize, kSeed);
  const auto origin = *fetch::MakeOrigin(context(), "s3://models",
                                         {.s3_endpoint = (*other)->Url(),
                                          .s3_region = "us-east-1",
                                          .access_key_id = "k",
                                          .secret_access_key = "s"});
  EXPECT_THAT(Names(List(*origin)), ElementsAre("weights"));
  EXPECT_TRUE(ReadsPattern(*origin, Pin(*origin, "weights"), {5, 500}, kSeed));
  EXPECT_EQ((*other)->Log()[0].status, 400);
  EXPECT_EQ((*other)->Log()[1].status, 200);
}

TEST_F(S3FaultsTest, SendsItsSessionToken) {
  const auto other =
      EmbeddedOrigin::Start({.access_key = "k", .secret_key = "s", .session_token = "t/o+k=="});
  ASSERT_TRUE(other);
  (*other)->objects().PutBytes("models", "a", "x");
  fetch::OriginSettings settings{.s3_endpoint = (*other)->Url(),
                                 .access_key_id = "k",
                                 .secret_access_key = "s",
                                 .session_token = "t/o+k=="};
  EXPECT_TRUE(Probe(**fetch::MakeOrigin(context(), "s3://models", settings)));
  settings.session_token = "stale";
  const auto probe = Probe(**fetch::MakeOrigin(context(), "s3://models", settings));
  ASSERT_FALSE(probe);
  EXPECT_EQ(probe.error().code, Errc::kDenied) << probe.error().what;
  EXPECT_THAT(probe.error().what, HasSubstr("token"));
}

TEST_F(S3FaultsTest, SpeaksVirtualHosted) {
  // libcurl resolves *.localhost itself.
  const auto other = EmbeddedOrigin::Start(
      {.access_key = "k", .secret_key = "s", .virtual_domain = "s3.localhost"});
  ASSERT_TRUE(other);
  (*other)->objects().PutPattern("models", "dir/a b+c", kSize, kSeed);
  const auto origin =
      *fetch::MakeOrigin(context(), "s3://models",
                         {.s3_endpoint = fmt::format("http://s3.localhost:{}", (*other)->port()),
                          .s3_addressing = fetch::S3Addressing::kVirtual,
                          .access_key_id = "k",
                          .secret_access_key = "s"});
  EXPECT_TRUE(ReadsPattern(*origin, Pin(*origin, "a b+c", "dir/"), {5, 500}, kSeed));
  EXPECT_EQ((*other)->Log().back().path, "/dir/a%20b%2Bc");
}

TEST_F(S3FaultsTest, TrustsOnlyTheCertificateItIsGiven) {
  const TestCertificate certificate = TestCertificate::Make(), stranger = TestCertificate::Make();
  const auto other = EmbeddedOrigin::Start({.certificate_pem = certificate.certificate_pem,
                                            .private_key_pem = certificate.private_key_pem});
  ASSERT_TRUE(other);
  (*other)->objects().PutPattern("models", "weights", kSize, kSeed);
  const TempDir files;
  fetch::OriginSettings settings{.s3_endpoint = (*other)->Url(), .anonymous = true};
  for (const std::string& bundle :
       {std::string(), files.Write("stranger.pem", stranger.certificate_pem).string()}) {
    settings.ca_bundle = bundle;
    const auto probe = Probe(**fetch::MakeOrigin(context(), "s3://models", settings));
    ASSERT_FALSE(probe);
    EXPECT_EQ(probe.error().code, Errc::kDenied) << probe.error().what;
    EXPECT_THAT(probe.error().what, HasSubstr("certificate"));
  }
  settings.ca_bundle = files.Write("good.pem", certificate.certificate_pem).string();
  const auto origin = *fetch::MakeOrigin(context(), "s3://models", settings);
  const auto probe = Probe(*origin);
  EXPECT_TRUE(probe) << probe.error().what;
  EXPECT_TRUE(ReadsPattern(*origin, Pin(*origin, "weights"), {0, kSize}, kSeed));

  settings.ca_bundle = files.path() / "missing.pem";
  const auto missing = Probe(**fetch::MakeOrigin(context(), "s3://models", settings));
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().what, HasSubstr("missing.pem"));
}

TEST_F(S3FaultsTest, FailsItsProbeInTime) {
  Await<void> done;
  server().SetLink({.latency = std::chrono::hours(1)});
  const auto start = std::chrono::steady_clock::now();
  origin_->Probe(std::chrono::milliseconds(500), done.done());
  const auto probe = done.Wait(std::chrono::seconds(20));
  ASSERT_FALSE(probe);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_THAT(probe.error().what, HasSubstr(server().Url()));
}

}  // namespace
}  // namespace modelfs::test
