#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "fs/daemon/jobs.h"
#include "fs/daemon/source_check.h"
#include "fs/daemon/status_report.h"
#include "tests/unit/fs/held_origin.h"
#include "tests/unit/fs/plain_cache.h"

namespace modelfs::fs {
namespace {

using test::FileEntry;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::chrono::seconds kLimit{20};

/// A cache whose downloads and verifications end when the test says so.
class DownloadCache final : public test::PlainCache,
                            public std::enable_shared_from_this<DownloadCache> {
 public:
  class Object final : public index::CachedObject {
   public:
    Object(fetch::ObjectId id, std::shared_ptr<DownloadCache> cache)
        : id_(std::move(id)), cache_(std::move(cache)) {}
    const fetch::ObjectId& id() const override { return id_; }
    void Read(std::uint64_t, std::span<std::byte>, Done<std::size_t> done) override { done(0); }
    std::optional<std::size_t> TryReadNow(std::uint64_t, std::span<std::byte>) override {
      return std::nullopt;
    }
    void Want(ByteRange, index::Priority) override {}
    void FetchAll(index::Priority, Done<void> done) override {
      cache_->Hold(id_.key, std::move(done));
    }
    index::ObjectStatus Status() const override { return *cache_->Find(id_); }

   private:
    const fetch::ObjectId id_;
    const std::shared_ptr<DownloadCache> cache_;
  };

  std::shared_ptr<index::CachedObject> Get(const fetch::ObjectId& id,
                                           std::shared_ptr<fetch::Origin>) override {
    return std::make_shared<Object>(id, shared_from_this());
  }
  std::optional<index::ObjectStatus> Find(const fetch::ObjectId& id) const override {
    MutexLock lock(mutex_);
    const auto found = cached_.find(id.key);
    return index::ObjectStatus{.id = id,
                               .cached_bytes = found == cached_.end() ? 0 : found->second,
                               .whole = false,
                               .verified = verified_};
  }
  index::CacheStats Stats() const override { return {.objects = 7, .cached_bytes = 700}; }
  void Verify(std::vector<fetch::ObjectId> ids, std::move_only_function<bool(std::uint64_t)> go_on,
              Done<index::VerifyReport> done) override {
    MutexLock lock(mutex_);
    for (const auto& id : ids) verified_ids_.push_back(id.key);
    ++verifications_;
    auto report = report_;
    lock.Unlock();
    if (!go_on(report.bytes)) return done(Fail(Errc::kCancelled, "stopped"));
    done(std::move(report));
  }

  /// Waits for `count` downloads to be under way; their names.
  std::set<std::string> AwaitHeld(std::size_t count) {
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    MutexLock lock(mutex_);
    while (held_.size() < count && changed_.WaitUntil(mutex_, limit)) continue;
    std::set<std::string> names;
    for (const auto& [name, done] : held_) names.insert(name);
    return names;
  }
  void Finish(const std::string& name, Result<void> result = {}) {
    MutexLock lock(mutex_);
    auto done = std::move(held_.at(name));
    held_.erase(name);
    lock.Unlock();
    done(std::move(result));
  }
  void SetCached(const std::string& name, std::uint64_t bytes) {
    MutexLock lock(mutex_);
    cached_[name] = bytes;
  }
  void SetVerified(index::Verified verified) {
    MutexLock lock(mutex_);
    verified_ = verified;
  }
  void SetReport(index::VerifyReport report) {
    MutexLock lock(mutex_);
    report_ = std::move(report);
  }
  std::vector<std::string> verified_ids() const {
    MutexLock lock(mutex_);
    return verified_ids_;
  }
  int verifications() const {
    MutexLock lock(mutex_);
    return verifications_;
  }

 private:
  void Hold(const std::string& name, Done<void> done) {
    MutexLock lock(mutex_);
    held_.emplace(name, std::move(done));
    changed_.NotifyAll();
  }

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Done<void>> held_ GUARDED_BY(mutex_);
  std::map<std::string, std::uint64_t> cached_ GUARDED_BY(mutex_);
  index::Verified verified_ GUARDED_BY(mutex_) = index::Verified::kOrigin;
  index::VerifyReport report_ GUARDED_BY(mutex_);
  std::vector<std::string> verified_ids_ GUARDED_BY(mutex_);
  int verifications_ GUARDED_BY(mutex_) = 0;
};

class JobsTest : public testing::Test {
 protected:
  JobsTest() {
    fetch::Listing root;
    root.entries = {FileEntry("a", 100, "1"), FileEntry("b", 50, "1"), test::DirectoryEntry("sub")};
    origin_->Set("", std::move(root));
    fetch::Listing sub;
    sub.entries = {FileEntry("c", 7, "1")};
    origin_->Set("sub/", std::move(sub));
  }
  ~JobsTest() override {
    jobs_.Stop();
    for (const std::string& name : cache_->AwaitHeld(0)) cache_->Finish(name);
  }

  JobTarget All() { return {.tree = tree_, .path = ""}; }
  nlohmann::json AwaitEnd(std::uint64_t id) {
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    for (;;) {
      auto job = jobs_.Describe(id);
      if (!job || (*job)["state"] != "running" || std::chrono::steady_clock::now() > limit) {
        return job ? *job : nlohmann::json();
      }
      std::this_thread::yield();
    }
  }

  std::shared_ptr<test::HeldOrigin> origin_ = std::make_shared<test::HeldOrigin>();
  std::shared_ptr<DownloadCache> cache_ = std::make_shared<DownloadCache>();
  std::shared_ptr<Tree> tree_ =
      Tree::Create({.sources = {{"s", origin_}}, .cache = cache_, .listing_ttl = kLimit});
  Jobs jobs_{cache_};
};

TEST_F(JobsTest, WarmDownloadsEveryFileAndTellsHowFarItIs) {
  const auto id = jobs_.Start(JobKind::kWarm, {All()});
  ASSERT_TRUE(id);
  EXPECT_THAT(cache_->AwaitHeld(3), ElementsAre("a", "b", "sub/c"));
  cache_->SetCached("a", 30);
  auto job = *jobs_.Describe(*id);
  EXPECT_EQ(job["kind"], "warm");
  EXPECT_EQ(job["state"], "running");
  EXPECT_EQ(job["bytes_total"], 157);
  EXPECT_EQ(job["bytes_done"], 30);
  EXPECT_EQ(job["files_total"], 3);
  for (const char* name : {"a", "b", "sub/c"}) cache_->Finish(name);
  job = AwaitEnd(*id);
  EXPECT_EQ(job["state"], "done");
  EXPECT_EQ(job["error"], "");
  EXPECT_EQ(job["bytes_done"], 157);
  EXPECT_EQ(job["files_done"], 3);
  EXPECT_EQ(cache_->verifications(), 0) << "the origin's checksum vouches for them";
}

TEST_F(JobsTest, WarmOfOneFileLeavesTheOthersAlone) {
  const auto id = jobs_.Start(JobKind::kWarm, {{.tree = tree_, .path = "s/sub/c"}});
  EXPECT_THAT(cache_->AwaitHeld(1), ElementsAre("sub/c"));
  cache_->Finish("sub/c");
  EXPECT_EQ(AwaitEnd(*id)["files_total"], 1);
}

TEST_F(JobsTest, WarmGoesOnAfterAFailureAndSaysWhich) {
  const auto id = jobs_.Start(JobKind::kWarm, {All()});
  cache_->AwaitHeld(3);
  cache_->Finish("a", Fail(Errc::kDenied, "HTTP 403"));
  cache_->Finish("b");
  cache_->Finish("sub/c", Fail(Errc::kDenied, "HTTP 403"));
  const auto job = AwaitEnd(*id);
  EXPECT_EQ(job["state"], "failed");
  EXPECT_THAT(job["error"].get<std::string>(), AllOf(HasSubstr("2 of 3"), HasSubstr("HTTP 403")));
}

TEST_F(JobsTest, WarmReadsBackWhatNobodyVouchesFor) {
  cache_->SetVerified(index::Verified::kNo);
  const auto id = jobs_.Start(JobKind::kWarm, {All()});
  cache_->AwaitHeld(3);
  for (const char* name : {"a", "b", "sub/c"}) cache_->Finish(name);
  EXPECT_EQ(AwaitEnd(*id)["state"], "done");
  EXPECT_THAT(cache_->verified_ids(), ElementsAre("a", "b", "sub/c"));
}

TEST_F(JobsTest, WarmFailsWhenWhatItReadBackIsDamaged) {
  cache_->SetVerified(index::Verified::kNo);
  cache_->SetReport({.objects = 3, .chunks = 3, .bytes = 157, .bad_chunks = 1, .bad = {"a: 0"}});
  const auto id = jobs_.Start(JobKind::kWarm, {All()});
  cache_->AwaitHeld(3);
  for (const char* name : {"a", "b", "sub/c"}) cache_->Finish(name);
  const auto job = AwaitEnd(*id);
  EXPECT_EQ(job["state"], "failed");
  EXPECT_THAT(job["error"].get<std::string>(), HasSubstr("1 chunks failed"));
}

TEST_F(JobsTest, WarmOfAMissingPathFails) {
  const auto id = jobs_.Start(JobKind::kWarm, {{.tree = tree_, .path = "s/none"}});
  EXPECT_EQ(AwaitEnd(*id)["state"], "failed");
}

TEST_F(JobsTest, VerifyOfNoPathIsTheWholeCache) {
  cache_->SetReport({.objects = 7, .chunks = 9, .bytes = 700, .bad_chunks = 2, .bad = {"x", "y"}});
  const auto id = jobs_.Start(JobKind::kVerify, {});
  const auto job = AwaitEnd(*id);
  EXPECT_EQ(job["state"], "done") << "damage that was found is no failure of the job";
  EXPECT_EQ(job["bytes_total"], 700);
  EXPECT_EQ(job["report"]["bad_chunks"], 2);
  EXPECT_EQ(job["report"]["bad"], nlohmann::json({"x", "y"}));
  EXPECT_THAT(cache_->verified_ids(), ElementsAre());
  EXPECT_EQ(cache_->verifications(), 1);
}

TEST_F(JobsTest, VerifyOfAPathChecksThatPath) {
  const auto id = jobs_.Start(JobKind::kVerify, {{.tree = tree_, .path = "s/b"}});
  EXPECT_EQ(AwaitEnd(*id)["state"], "done");
  EXPECT_THAT(cache_->verified_ids(), ElementsAre("b"));
}

TEST_F(JobsTest, StopEndsAJobWhoseDownloadsHang) {
  const auto id = jobs_.Start(JobKind::kWarm, {All()});
  ASSERT_TRUE(id);
  cache_->AwaitHeld(3);
  jobs_.Stop();
  EXPECT_EQ(jobs_.Start(JobKind::kWarm, {All()}).error().code, Errc::kCancelled);
  cache_->Finish("a");  // A completion that comes too late touches nothing that is gone.
}

TEST_F(JobsTest, StopEndsAJobWhoseListingHangs) {
  auto held = std::make_shared<test::HeldOrigin>();
  auto tree = Tree::Create({.sources = {{"s", held}}, .cache = cache_, .listing_ttl = kLimit});
  ASSERT_TRUE(jobs_.Start(JobKind::kWarm, {{.tree = tree, .path = "s"}}));
  jobs_.Stop();
  held->Answer(fetch::Listing{});
}

TEST_F(JobsTest, LimitsHowManyRun) {
  for (std::size_t i = 0; i < Jobs::kMaxRunning; ++i) {
    auto held = std::make_shared<test::HeldOrigin>();
    auto tree = Tree::Create({.sources = {{"s", held}}, .cache = cache_, .listing_ttl = kLimit});
    ASSERT_TRUE(jobs_.Start(JobKind::kWarm, {{.tree = tree, .path = "s"}}));
  }
  EXPECT_EQ(jobs_.Start(JobKind::kWarm, {All()}).error().code, Errc::kTransient);
}

TEST_F(JobsTest, ForgetsOldJobsOnly) {
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < Jobs::kKept + 5; ++i) {
    last = *jobs_.Start(JobKind::kVerify, {});
    AwaitEnd(last);
  }
  EXPECT_EQ(jobs_.Describe(1).error().code, Errc::kNotFound);
  EXPECT_TRUE(jobs_.Describe(last));
  EXPECT_EQ(jobs_.DescribeAll().size(), Jobs::kKept);
}

TEST_F(JobsTest, StatusCountsPerSourceWhatWasListed) {
  MountSpec spec;
  spec.mountpoint = "/m";
  SourceSpec source{.name = "s", .uri = "s3://held", .s3 = {}, .ca_bundle = ""};
  source.s3.secret_access_key = "CANARY";
  spec.sources = {source};
  auto mount =
      DescribeMount(spec, *tree_, *cache_, {.parked_requests = 3, .passthrough = {}, .config = {}});
  EXPECT_EQ(mount["parked_requests"], 3);
  EXPECT_TRUE(mount["sources"][0]["files"].is_null()) << "nothing was listed yet";
  const auto id = jobs_.Start(JobKind::kVerify, {All()});  // Lists everything.
  AwaitEnd(*id);
  cache_->SetCached("a", 60);
  mount = DescribeMount(spec, *tree_, *cache_, {});
  EXPECT_EQ(mount["sources"][0]["files"], 3);
  EXPECT_EQ(mount["sources"][0]["total_bytes"], 157);
  EXPECT_EQ(mount["sources"][0]["cached_bytes"], 60);
  EXPECT_THAT(mount.dump(), Not(HasSubstr("CANARY")));
}

/// An origin whose Probe answers as told, or never.
class ProbedOrigin final : public fetch::Origin {
 public:
  explicit ProbedOrigin(std::optional<Result<void>> answer) : answer_(std::move(answer)) {}
  std::string Describe() const override { return "s3://probed"; }
  void List(std::string, Done<fetch::Listing>) override {}
  fetch::ObjectId Pin(std::string_view, const fetch::Entry&) const override { return {}; }
  void Read(const fetch::ObjectId&, ByteRange, std::shared_ptr<fetch::BodySink>,
            Done<void>) override {}
  void Probe(std::chrono::milliseconds, Done<void> done) override {
    if (answer_) return done(*answer_);
    held_ = std::move(done);
  }

 private:
  const std::optional<Result<void>> answer_;
  std::optional<Done<void>> held_;
};

TEST(CheckSourcesTest, NamesEverySourceThatFails) {
  const std::vector<Tree::Source> sources{
      {"good", std::make_shared<ProbedOrigin>(Result<void>())},
      {"one", std::make_shared<ProbedOrigin>(Fail(Errc::kDenied, "HTTP 403"))},
      {"two", std::make_shared<ProbedOrigin>(Fail(Errc::kNotFound, "no such bucket"))}};
  const auto result = CheckSources(sources, kLimit, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kDenied);
  EXPECT_EQ(result.error().what,
            "source 'one' (s3://probed): HTTP 403; source 'two' (s3://probed): no such bucket");
}

TEST(CheckSourcesTest, EndsWhenItIsStopped) {
  const std::vector<Tree::Source> sources{{"silent", std::make_shared<ProbedOrigin>(std::nullopt)}};
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(CheckSources(sources, kLimit, stop.get_token()).error().code, Errc::kCancelled);
}

TEST(CheckSourcesTest, DoesNotWaitForAProbeThatIgnoresItsDeadline) {
  const std::vector<Tree::Source> sources{{"silent", std::make_shared<ProbedOrigin>(std::nullopt)}};
  const auto result = CheckSources(sources, std::chrono::milliseconds(-990), {});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().what, HasSubstr("no answer in time"));
}

}  // namespace
}  // namespace modelfs::fs
