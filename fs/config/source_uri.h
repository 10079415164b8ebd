#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fs {

/// A source as the user names it, taken apart and brought into one form.
struct SourceUri {
  enum class Scheme : std::uint8_t {
    kS3,      ///< "s3://bucket[/prefix]"
    kDir,     ///< "dir:/absolute/path"
    kHttp,    ///< "http(s)://host[:port]/path"
    kMlflow,  ///< "mlflow:http(s)://host[:port][/prefix]"
  };
  Scheme scheme = Scheme::kS3;
  /// Directory at the mount's root: as given, else the bucket, host or folder; of MLflow else "".
  std::string name;
  std::string uri;  ///< Without trailing slashes.
};

/// Parses "[NAME=]URI". What precedes the first '=' is a name if no ':' comes before it.
/// Errors: kInvalid: no such scheme, a bucket, URL, prefix, path or name that cannot be.
Result<SourceUri> ParseSourceUri(std::string_view text);

/// Errors: kInvalid when `name` cannot be a directory at the root of a mount: empty, over 255
/// bytes,
/// ".", "..", ".modelfs", or with '/' or a control character in it.
Result<void> CheckSourceName(std::string_view name);

}  // namespace modelfs::fs
