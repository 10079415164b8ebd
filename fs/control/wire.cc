#include "fs/control/wire.h"

#include <fmt/format.h>

#include <array>

namespace modelfs::fs {
namespace {

using nlohmann::json;

constexpr std::array kCodes = {Errc::kNotFound, Errc::kDenied,   Errc::kInvalid, Errc::kTransient,
                               Errc::kTimeout,  Errc::kChanged,  Errc::kCorrupt, Errc::kNoSpace,
                               Errc::kIo,       Errc::kCancelled};

}  // namespace

int ToHttpStatus(Errc code) {
  switch (code) {
    case Errc::kNotFound: return 404;
    case Errc::kDenied: return 403;
    case Errc::kInvalid: return 400;
    case Errc::kTransient: return 503;
    case Errc::kTimeout: return 504;
    case Errc::kNoSpace: return 507;
    case Errc::kChanged:
    case Errc::kCorrupt:
    case Errc::kUnranged:
    case Errc::kIo:
    case Errc::kCancelled: return 500;
  }
  return 500;
}

std::string ErrorBody(const Error& error) {
  return Dump({{"error", {{"code", ToString(error.code)}, {"message", error.what}}}});
}

std::optional<Error> ErrorIn(std::string_view body) {
  const json parsed = json::parse(body, nullptr, false);
  const auto error = parsed.is_object() ? parsed.find("error") : parsed.end();
  if (parsed.is_object() && error != parsed.end() && error->is_object()) {
    const auto text = [&](const char* key) {
      const auto field = error->find(key);
      return field != error->end() && field->is_string() ? field->get<std::string>() : "";
    };
    const std::string word = text("code");
    for (const Errc code : kCodes) {
      if (ToString(code) == word) return Error{code, text("message")};
    }
  }
  return std::nullopt;
}

Error ParseErrorBody(int http_status, std::string_view body) {
  if (auto error = ErrorIn(body)) return *std::move(error);
  return {Errc::kIo, fmt::format("the daemon answered HTTP {} '{}'", http_status,
                                 body.substr(0, std::min<std::size_t>(body.size(), 200)))};
}

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace modelfs::fs
