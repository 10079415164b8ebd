#include "fs/cli/doctor/source_checks.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <stop_token>

#include "fetch/fetch_context.h"
#include "fs/config.h"
#include "fs/config/s3_settings.h"
#include "fs/daemon/source_check.h"
#include "fs/daemon/source_factory.h"

namespace modelfs::fs {
namespace {

using enum Finding::Level;

constexpr std::chrono::seconds kDeadline{8};

/// Keeps retries and the like off the screen: the finding says how it ended.
class QuietLog {
 public:
  QuietLog() { spdlog::set_level(spdlog::level::off); }
  ~QuietLog() { spdlog::set_level(before_); }
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;

 private:
  const spdlog::level::level_enum before_ = spdlog::get_level();
};

Finding Credentials(const S3Settings& s3, std::string_view whose) {
  if (!s3.anonymous && s3.access_key_id.empty()) {
    return {kOk, "credentials", fmt::format("{}none for S3", whose), ""};
  }
  if (s3.anonymous) return {kOk, "credentials", fmt::format("{}none, as asked for", whose), ""};
  if (s3.credentials.kind == fetch::CredentialSettings::Kind::kInstance) {
    return {kWarn, "credentials",
            fmt::format("{}none but those of this machine's role, if it is an instance of EC2{}",
                        whose, s3.credential_origin),
            ""};
  }
  if (s3.access_key_id.empty()) {
    const std::string& role = s3.credentials.role_arn;
    return {kOk, "credentials",
            fmt::format("{}{} from {}", whose, role.empty() ? "keys" : role, s3.credential_origin),
            ""};
  }
  return {kOk, "credentials",
          fmt::format("{}access key {} from {}", whose, s3.access_key_id, s3.credential_origin),
          ""};
}

}  // namespace

Finding DescribeCredentials(const SourceSpec& source) {
  return Credentials(source.s3, fmt::format("source '{}': ", source.name));
}

Finding CheckOrigin(const SourceSpec& source, std::chrono::milliseconds deadline) {
  const QuietLog quiet;
  fetch::FetchContext fetch{fetch::FetchContext::Options{}};
  auto made = MakeSource(fetch, source);
  if (!made) return {kFail, "source", made.error().what, ""};
  const auto begun = std::chrono::steady_clock::now();
  auto checked = CheckSources({*std::move(made)}, deadline, std::stop_token());
  if (!checked) return {kFail, "source", checked.error().what, ""};
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begun);
  const std::string at = source.s3.endpoint.empty() ? "" : " at " + source.s3.endpoint;
  return {kOk, "source",
          fmt::format("source '{}' ({}){} answers and lets us in, after {} ms", source.name,
                      source.uri, at, took.count()),
          ""};
}

Findings CheckSourceSettings(const Settings& settings, const Environment& env) {
  Findings findings;
  for (const auto& source : settings.sources) {
    auto spec = ResolveSource(source, env);
    if (!spec) {
      const bool denied = spec.error().code == Errc::kDenied;
      findings.push_back({kFail, denied ? "credentials" : "source", spec.error().what, ""});
      continue;
    }
    if (spec->uri.starts_with("s3:")) findings.push_back(DescribeCredentials(*spec));
    findings.push_back(CheckOrigin(*spec, kDeadline));
  }
  if (!settings.sources.empty()) return findings;
  if (auto found = ResolveS3(SourceSettings{}, env)) {
    findings.push_back(Credentials(found->s3, ""));
  } else {
    findings.push_back({kWarn, "credentials", found.error().what, ""});
  }
  findings.push_back({kOk, "source", "none given; add --source to see whether it answers", ""});
  return findings;
}

}  // namespace modelfs::fs
