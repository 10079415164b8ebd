#include "fs/http/mlflow_webhook.h"

#include <gtest/gtest.h>

namespace modelfs::fs {
namespace {

using Verdict = MlflowWebhook::Verdict;

/// Captured from a real server (facts/mlflow-and-s3.md, section 4).
constexpr const char* kBody =
    R"({"entity": "model_version_alias", "action": "created", "timestamp": )"
    R"("2026-11-23T19:05:55.809037+00:00", "data": {"name": "m30239", "alias": "champion", )"
    R"("version": "1"}})";
const MlflowWebhook::Delivery kCaptured{
    .id = "78f07d2f-3e3c-4f42-bc13-c1956f71f680",
    .timestamp = "1795460755",
    .signature = "v1,G6PAoom3OpW/EowTArSVtJKZdHKSU8lBregUGKhkuR8=",
    .body = kBody};
const MlflowWebhook::Clock::time_point kThen{std::chrono::seconds(1795460755)};

TEST(MlflowWebhookTest, TakesWhatARealServerSentOnce) {
  MlflowWebhook webhook;
  EXPECT_EQ(webhook.Check(kCaptured, "s3cr3t", kThen + std::chrono::seconds(5)), Verdict::kNew);
  EXPECT_EQ(webhook.Check(kCaptured, "s3cr3t", kThen + std::chrono::seconds(9)),
            Verdict::kDuplicate);
}

TEST(MlflowWebhookTest, RefusesForgeries) {
  MlflowWebhook webhook;
  const auto check = [&](auto change) {
    MlflowWebhook::Delivery delivery = kCaptured;
    change(delivery);
    return webhook.Check(delivery, "s3cr3t", kThen);
  };
  EXPECT_EQ(check([](auto& d) { d.body = "{}"; }), Verdict::kForged);
  EXPECT_EQ(check([](auto& d) { d.id = "other"; }), Verdict::kForged);
  EXPECT_EQ(check([](auto& d) { d.timestamp = "1795460756"; }), Verdict::kForged);
  EXPECT_EQ(check([](auto& d) { d.signature = ""; }), Verdict::kForged);
  EXPECT_EQ(check([](auto& d) { d.signature = "v1,AAAA"; }), Verdict::kForged);
  EXPECT_EQ(webhook.Check(kCaptured, "other", kThen), Verdict::kForged);
  MlflowWebhook::Delivery unsigned_one = kCaptured;
  const std::string signature = MlflowWebhook::Sign(unsigned_one, "");
  unsigned_one.signature = signature;
  EXPECT_EQ(webhook.Check(unsigned_one, "", kThen), Verdict::kForged) << "no secret, no webhook";
  EXPECT_EQ(webhook.Check(kCaptured, "s3cr3t", kThen), Verdict::kNew) << "forgeries leave no mark";
}

TEST(MlflowWebhookTest, RefusesWhatIsOldAlsoWhenItsIdIsForgotten) {
  MlflowWebhook webhook;
  EXPECT_EQ(webhook.Check(kCaptured, "s3cr3t", kThen + std::chrono::seconds(301)), Verdict::kStale);
  EXPECT_EQ(webhook.Check(kCaptured, "s3cr3t", kThen - std::chrono::seconds(301)), Verdict::kStale);
  EXPECT_EQ(webhook.Check(kCaptured, "s3cr3t", kThen), Verdict::kNew);
  EXPECT_EQ(webhook.Check(kCaptured, "s3cr3t", kThen + std::chrono::seconds(299)),
            Verdict::kDuplicate);
}

}  // namespace
}  // namespace modelfs::fs
