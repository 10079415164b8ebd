#include "tests/support/origin/s3_message.h"

#include <fmt/format.h>
#include <strings.h>

namespace modelfs::test {

std::string_view S3Request::Header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

void S3Reply::SetHeader(std::string_view name, std::string value) {
  for (auto& [known, old] : headers) {
    if (known.size() == name.size() && strncasecmp(known.data(), name.data(), name.size()) == 0) {
      old = std::move(value);
      return;
    }
  }
  headers.emplace_back(name, std::move(value));
}

S3Reply ErrorReply(const S3Error& error, std::string_view resource) {
  S3Reply reply;
  reply.status = error.status;
  reply.text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>"
      "<Resource>{}</Resource>",
      XmlEscape(error.code), XmlEscape(error.message), XmlEscape(resource));
  for (const auto& [name, value] : error.details) {
    reply.text += fmt::format("<{0}>{1}</{0}>", name, XmlEscape(value));
  }
  reply.text += "</Error>";
  reply.SetHeader("Content-Type", "application/xml");
  return reply;
}

std::string XmlEscape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("&#x{:X};", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  return out;
}

}  // namespace modelfs::test
