#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fs {

// What ControlServer and ControlClient agree on; README.md is the page for people.

inline constexpr std::size_t kMaxControlBody = 4u << 20;

/// The HTTP status that an error is answered with.
int ToHttpStatus(Errc code);

/// {"error": {"code", "message"}}.
std::string ErrorBody(const Error& error);

/// What ErrorBody was made of; nullopt for any other text.
std::optional<Error> ErrorIn(std::string_view body);

/// The error in an answer that is no success. A body that is not ours is quoted, shortened, with
/// code kIo.
Error ParseErrorBody(int http_status, std::string_view body);

/// JSON text in which bytes that are no UTF-8 (object keys may hold any) are replaced.
std::string Dump(const nlohmann::json& json);

}  // namespace modelfs::fs
