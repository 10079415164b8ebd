#include "fs/control/control_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <utility>

#include "fetch/base/base64.h"
#include "fetch/base/handle.h"
#include "fs/control/wire.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;
using CurlEasy = Handle<CURL, curl_easy_cleanup>;
using CurlList = Handle<curl_slist, curl_slist_free_all>;

constexpr std::size_t kMaxAnswer = 64u << 20;

std::size_t Append(char* data, std::size_t size, std::size_t count, void* out) noexcept {
  auto& body = *static_cast<std::string*>(out);
  if (body.size() + size * count > kMaxAnswer) return 0;
  body.append(data, size * count);
  return size * count;
}

Error CurlError(CURLcode code, const std::string& socket, const char* method,
                const std::string& path) {
  const std::string what = fmt::format("{} {} on '{}'", method, path, socket);
  switch (code) {
    case CURLE_COULDNT_CONNECT:
      return {Errc::kNotFound, fmt::format("no modelfs daemon answers on '{}'", socket)};
    case CURLE_OPERATION_TIMEDOUT:
      return {Errc::kTimeout, fmt::format("{}: the daemon did not answer in time", what)};
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
      return {Errc::kCancelled, fmt::format("{}: the daemon ended before it answered", what)};
    default: return {Errc::kIo, fmt::format("{}: {}", what, curl_easy_strerror(code))};
  }
}

}  // namespace

ControlClient::ControlClient(std::string socket_path)
    : ControlClient(std::move(socket_path), Options{}) {}

ControlClient::ControlClient(std::string socket_path, Options options)
    : socket_path_(std::move(socket_path)), options_(options) {}

Result<json> ControlClient::Call(const char* method, const std::string& path,
                                 const std::string& body, std::chrono::milliseconds timeout) {
  const CurlEasy curl(curl_easy_init());
  if (curl == nullptr) return Fail(Errc::kIo, "start libcurl");
  const CurlList headers(curl_slist_append(nullptr, "Content-Type: application/json"));
  const std::string url = "http://localhost" + path;
  std::string answer;
  CURL* const h = curl.get();
  curl_easy_setopt(h, CURLOPT_URL, url.c_str());
  curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, socket_path_.c_str());
  curl_easy_setopt(h, CURLOPT_PROXY, "");  // Not the environment's.
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, &Append);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, &answer);
  if (std::string_view(method) == "POST") {
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, body.c_str());
  }
  if (const CURLcode code = curl_easy_perform(h); code != CURLE_OK) {
    return std::unexpected(CurlError(code, socket_path_, method, path));
  }
  long status = 0;
  curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200 || status > 299) {
    return std::unexpected(ParseErrorBody(static_cast<int>(status), answer));
  }
  json parsed = json::parse(answer, nullptr, false);
  if (!parsed.is_object()) {
    return Fail(Errc::kIo, fmt::format("{} {} on '{}': the answer is no JSON object", method, path,
                                       socket_path_));
  }
  return parsed;
}

Result<json> ControlClient::Status() { return Call("GET", "/api/v1/status", "", options_.timeout); }

Result<void> ControlClient::AddMount(const MountSpec& spec) {
  auto answer = Call("POST", "/api/v1/mounts", Dump(ToJson(spec)), options_.mount_timeout);
  if (!answer) return std::unexpected(std::move(answer.error()));
  return {};
}

Result<void> ControlClient::Upgrade(const std::string& program) {
  auto answer =
      Call("POST", "/api/v1/upgrade", Dump({{"program", program}}), options_.mount_timeout);
  if (!answer) return std::unexpected(std::move(answer.error()));
  return {};
}

Result<std::uint64_t> ControlClient::StartJob(JobKind kind, const std::vector<std::string>& paths) {
  // A path that is no UTF-8 cannot travel in JSON; say so instead of asking for another one.
  for (const auto& p : paths) {
    if (json::parse(Dump(json(p)), nullptr, false) != json(p)) {
      return Fail(Errc::kInvalid, fmt::format("'{}' is no UTF-8; name the directory above it", p));
    }
  }
  const std::string path = fmt::format("/api/v1/{}", ToString(kind));
  auto answer = Call("POST", path, Dump({{"paths", paths}}), options_.timeout);
  if (!answer) return std::unexpected(std::move(answer.error()));
  const auto job = answer->find("job");
  if (job == answer->end() || !job->is_number_unsigned()) {
    return Fail(Errc::kIo,
                fmt::format("POST {} on '{}': no job number in the answer", path, socket_path_));
  }
  return job->get<std::uint64_t>();
}

Result<std::string> ControlClient::JobOutput(std::uint64_t id) {
  const std::string path = fmt::format("/api/v1/jobs/{}/output", id);
  auto answer = Call("GET", path, "", options_.mount_timeout);
  if (!answer) return std::unexpected(std::move(answer.error()));
  const auto field = answer->find("output");
  auto output = field != answer->end() && field->is_string()
                    ? Base64Decode(field->get_ref<const std::string&>())
                    : std::nullopt;
  if (!output) {
    return Fail(Errc::kIo, fmt::format("GET {} on '{}': no output", path, socket_path_));
  }
  return *std::move(output);
}

Result<std::uint64_t> ControlClient::ImportProfiles(const std::string& file) {
  auto answer =
      Call("POST", "/api/v1/profiles", Dump({{"file", Base64Encode(file)}}), options_.timeout);
  if (!answer) return std::unexpected(std::move(answer.error()));
  return answer->value("profiles", std::uint64_t{0});
}

Result<json> ControlClient::Job(std::uint64_t id) {
  return Call("GET", fmt::format("/api/v1/jobs/{}", id), "", options_.timeout);
}

}  // namespace modelfs::fs
