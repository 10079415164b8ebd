#include "tests/support/http_call.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include "fetch/base/handle.h"

namespace modelfs::test {
namespace {

using Easy = Handle<CURL, curl_easy_cleanup>;
using List = Handle<curl_slist, curl_slist_free_all>;

std::size_t OnBody(char* data, std::size_t size, std::size_t count, void* reply) noexcept {
  static_cast<HttpCall::Reply*>(reply)->body.append(data, size * count);
  return size * count;
}

std::size_t OnHeader(char* data, std::size_t size, std::size_t count, void* reply) noexcept {
  std::string_view line(data, size * count);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size * count;
  std::string name(line.substr(0, colon));
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  line.remove_prefix(colon + 1);
  while (line.starts_with(' ')) line.remove_prefix(1);
  static_cast<HttpCall::Reply*>(reply)->headers.emplace_back(std::move(name), line);
  return size * count;
}

}  // namespace

std::string HttpCall::Reply::Header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

Result<HttpCall::Reply> HttpCall::Run() const {
  const Easy easy(curl_easy_init());
  Reply reply;
  List list(curl_slist_append(nullptr, "Expect:"));
  // libcurl would call a body a form, and some servers would believe it.
  list.reset(curl_slist_append(list.release(), "Content-Type: application/octet-stream"));
  for (const auto& [name, value] : headers) {
    list.reset(curl_slist_append(list.release(), fmt::format("{}: {}", name, value).c_str()));
  }
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_CUSTOMREQUEST, method.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, list.get());
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT, 60L);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &reply);
  curl_easy_setopt(easy.get(), CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(easy.get(), CURLOPT_HEADERDATA, &reply);
  if (method == "HEAD") curl_easy_setopt(easy.get(), CURLOPT_NOBODY, 1L);
  if (!body.empty() || method == "PUT" || method == "POST") {
    curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDS, body.data());
  }
  curl_blob ca{const_cast<char*>(ca_pem.data()), ca_pem.size(), CURL_BLOB_NOCOPY};
  if (!ca_pem.empty()) curl_easy_setopt(easy.get(), CURLOPT_CAINFO_BLOB, &ca);
  if (const CURLcode code = curl_easy_perform(easy.get()); code != CURLE_OK) {
    return Fail(Errc::kTransient, fmt::format("{} {}: {}", method, url, curl_easy_strerror(code)));
  }
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  reply.status = static_cast<int>(status);
  return reply;
}

}  // namespace modelfs::test
