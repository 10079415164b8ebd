#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <string>
#include <utility>

#include "fetch/base/error.h"

namespace modelfs::fs {

/// The status codes of gRPC that the specification gives a meaning here.
enum class CsiCode : std::uint8_t {
  kInvalidArgument,     ///< A field is missing or makes no sense; the text names it.
  kNotFound,            ///< No such volume, model or version.
  kAlreadyExists,       ///< Published there, but otherwise.
  kFailedPrecondition,  ///< Published elsewhere, and meant for one place.
  kAborted,             ///< Another call for this volume is under way.
  kUnauthenticated,     ///< A token that does not hold any more.
  kPermissionDenied,    ///< The origin refuses.
  kUnavailable,         ///< May succeed when tried again.
  kInternal,            ///< This node failed.
};

struct CsiError {
  CsiCode code;
  std::string what;
};

template <class T>
using CsiResult = std::expected<T, CsiError>;

inline std::unexpected<CsiError> CsiFail(CsiCode code, std::string what) {
  return std::unexpected(CsiError{code, std::move(what)});
}

/// What a failure of mounting means to whoever asked for the volume.
inline std::unexpected<CsiError> CsiFail(Error error) {
  const auto code = [&] {
    switch (error.code) {
      case Errc::kInvalid: return CsiCode::kInvalidArgument;
      case Errc::kNotFound: return CsiCode::kNotFound;
      case Errc::kDenied: return CsiCode::kPermissionDenied;
      case Errc::kTransient:
      case Errc::kTimeout:
      case Errc::kCancelled: return CsiCode::kUnavailable;
      default: return CsiCode::kInternal;
    }
  }();
  return CsiFail(code, std::move(error.what));
}

/// A map of the protocol: attributes of a volume, or its secrets.
using StringMap = std::map<std::string, std::string>;

}  // namespace modelfs::fs
