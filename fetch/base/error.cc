#include "fetch/base/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace modelfs {

std::string_view ToString(Errc code) {
  switch (code) {
    case Errc::kNotFound: return "not_found";
    case Errc::kDenied: return "denied";
    case Errc::kInvalid: return "invalid";
    case Errc::kTransient: return "transient";
    case Errc::kTimeout: return "timeout";
    case Errc::kChanged: return "changed";
    case Errc::kCorrupt: return "corrupt";
    case Errc::kUnranged: return "unranged";
    case Errc::kNoSpace: return "no_space";
    case Errc::kIo: return "io";
    case Errc::kCancelled: return "cancelled";
  }
  return "unknown";
}

int ToErrno(Errc code) {
  switch (code) {
    case Errc::kNotFound: return ENOENT;
    case Errc::kDenied: return EACCES;
    case Errc::kInvalid: return EINVAL;
    case Errc::kChanged: return ESTALE;
    case Errc::kNoSpace: return ENOSPC;
    case Errc::kCancelled: return EINTR;
    case Errc::kTransient:
    case Errc::kTimeout:
    case Errc::kCorrupt:
    case Errc::kUnranged:
    case Errc::kIo: return EIO;
  }
  return EIO;
}

Errc FromErrno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR: return Errc::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS: return Errc::kDenied;
    case EINVAL:
    case ENAMETOOLONG: return Errc::kInvalid;
    case ENOSPC:
    case EDQUOT: return Errc::kNoSpace;
    default: return Errc::kIo;
  }
}

std::unexpected<Error> FailErrno(int error_number, std::string_view operation) {
  return Fail(FromErrno(error_number),
              fmt::format("{}: {}", operation, std::generic_category().message(error_number)));
}

}  // namespace modelfs
