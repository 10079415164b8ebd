#include "fetch/credentials/local_sources.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "fetch/base/program.h"
#include "fetch/base/small_file.h"
#include "fetch/credentials/keys_document.h"
#include "fetch/s3/aws_profile.h"

namespace modelfs::fetch {
namespace {

Result<TemporaryKeys> RunProcess(const CredentialSettings& settings, const std::stop_token& stop) {
  auto words = SplitCommand(settings.command);
  if (!words) return std::unexpected(words.error());
  const auto output =
      RunProgram({.arguments = *std::move(words), .environment = settings.environment}, stop);
  if (!output) return std::unexpected(output.error());
  const auto json = nlohmann::json::parse(*output, nullptr, false);
  if (!json.is_object()) return Fail(Errc::kCorrupt, "the program's answer is no JSON object");
  if (json.value("Version", nlohmann::json()) != nlohmann::json(1)) {
    return Fail(Errc::kCorrupt, "the program's answer is not of Version 1");
  }
  return ParseKeysJson(*output);
}

Result<std::string> ReadOrNothing(const std::string& path) {
  if (path.empty()) return std::string();
  auto text = ReadSmallFile(path);
  if (!text && text.error().code == Errc::kNotFound) return std::string();
  return text;
}

Result<TemporaryKeys> ReadProfile(const CredentialSettings& settings) {
  const auto credentials = ReadOrNothing(settings.credentials_file);
  if (!credentials) return std::unexpected(credentials.error());
  const auto config = ReadOrNothing(settings.config_file);
  if (!config) return std::unexpected(config.error());
  const auto profile = ParseAwsProfile(*credentials, *config, settings.profile);
  if (!profile) return std::unexpected(profile.error());
  if (profile->access_key_id.empty() || profile->secret_access_key.empty()) {
    return Fail(Errc::kDenied, "it has no keys any more");
  }
  return TemporaryKeys{.keys = {.access_key_id = profile->access_key_id,
                                .secret_access_key = profile->secret_access_key,
                                .session_token = profile->session_token},
                       .expires = std::nullopt};
}

}  // namespace

std::string ProcessSource::Describe() const {
  return fmt::format("credential_process of {}", settings_.where);
}

void ProcessSource::Fetch(std::stop_token stop, Done<TemporaryKeys> done) {
  pool_->Post([settings = settings_, stop = std::move(stop), done = std::move(done)]() mutable {
    done(RunProcess(settings, stop));
  });
}

void ProfileSource::Fetch(std::stop_token /*stop*/, Done<TemporaryKeys> done) {
  pool_->Post(
      [settings = settings_, done = std::move(done)]() mutable { done(ReadProfile(settings)); });
}

}  // namespace modelfs::fetch
