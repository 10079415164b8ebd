// Deliveries of MLflow's webhooks: nothing counts that the secret did not sign.
#include "fs/http/mlflow_webhook.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using fs::MlflowWebhook;
  constexpr std::string_view kSecret = "the secret of the fuzz target";
  static MlflowWebhook webhook;
  std::string_view text = test::Text(data, size);
  MlflowWebhook::Delivery delivery;
  delivery.id = test::TakePart(text);
  delivery.timestamp = test::TakePart(text);
  delivery.signature = test::TakePart(text);
  delivery.body = text;
  const auto now = MlflowWebhook::Clock::time_point(std::chrono::seconds(1'700'000'000));
  const auto verdict = webhook.Check(delivery, kSecret, now);
  const std::string genuine = MlflowWebhook::Sign(delivery, kSecret);
  const bool believed =
      verdict == MlflowWebhook::Verdict::kNew || verdict == MlflowWebhook::Verdict::kDuplicate;
  test::Require(!believed || delivery.signature.find(genuine) != std::string_view::npos,
                "only what is signed is believed");
  delivery.signature = genuine;
  delivery.timestamp = "1700000000";
  const std::string again = MlflowWebhook::Sign(delivery, kSecret);
  delivery.signature = again;
  const bool usable = !delivery.id.empty() && delivery.id.size() <= 128;
  test::Require(!usable || webhook.Check(delivery, kSecret, now) != MlflowWebhook::Verdict::kForged,
                "what is signed is not forged");
  return 0;
}
