#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace modelfs {

/// What a caller can do about a failure. Small and closed: a new code needs a caller that reacts
/// differently to it.
enum class Errc : std::uint8_t {
  kNotFound,   ///< The thing named does not exist; looking again later is the only hope.
  kDenied,     ///< The other side knows who we are, or does not, and refuses. Not retried.
  kInvalid,    ///< The request itself is wrong (name, argument, format). Not retried.
  kTransient,  ///< May succeed when tried again. The only code that is retried, by RetryPolicy.
  kTimeout,    ///< The deadline passed. The work may still be going on.
  kChanged,    ///< The object is no longer the pinned one; its bytes cannot be had any more.
  kCorrupt,    ///< Bytes arrived or were found that do not match their checksum or description.
  kUnranged,   ///< The server gives an object only as a whole, from its first byte on.
  kNoSpace,    ///< The cache's filesystem or quota is full.
  kIo,         ///< The local disk or the kernel failed.
  kCancelled,  ///< We are shutting down, or nobody wants the answer any more.
};

/// Stable lower-case word for logs and JSON, e.g. "not_found".
std::string_view ToString(Errc code);

/// The errno that a FUSE reply or an exit path shows for `code`.
int ToErrno(Errc code);

/// The code for an errno of a local system call (ENOENT, EACCES, ENOSPC, ... ; others are kIo).
Errc FromErrno(int error_number);

/// A failure and what it happened to: `GET s3://b/k [8388608,+4194304): HTTP 503 SlowDown`.
struct Error {
  Errc code;
  std::string what;
};

template <class T>
using Result = std::expected<T, Error>;

/// A completion. Called exactly once, on the thread that the taker documents, with no lock held.
template <class T>
using Done = std::move_only_function<void(Result<T>)>;

inline std::unexpected<Error> Fail(Errc code, std::string what) {
  return std::unexpected(Error{code, std::move(what)});
}

/// `operation`: what was tried on what; the text of errno `error_number` is appended.
std::unexpected<Error> FailErrno(int error_number, std::string_view operation);

}  // namespace modelfs
