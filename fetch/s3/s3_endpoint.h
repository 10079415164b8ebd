#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fetch {

/// Where the bucket's name stands in a URL.
enum class S3Addressing : std::uint8_t {
  kAuto,     ///< Virtual at AWS where the name allows it, else path.
  kPath,     ///< https://host/bucket/key
  kVirtual,  ///< https://bucket.host/key
};

/// How the URLs of one bucket look.
class S3Endpoint {
 public:
  /// `url`: "https://minio:9000", or empty for AWS's own of the region.
  /// Errors: kInvalid, with the reason: no http(s), user information, query.
  static Result<S3Endpoint> Make(std::string_view url, std::string bucket, S3Addressing addressing);

  struct Address {
    std::string scheme_and_authority;  ///< "https://host:9000"
    std::string host;                  ///< The Host header: without a default port.
    std::string path;                  ///< Before the "/key": "" or "/bucket", encoded.
  };
  Address In(std::string_view region) const;

  /// For people, and for an object's identity: "http://host:9000", "https://s3.amazonaws.com". The
  /// same for every region of AWS, in which a bucket name is one bucket.
  std::string Canonical() const;
  bool IsAws() const { return authority_.empty(); }

 private:
  std::string scheme_ = "https";
  std::string authority_;  // Lower case, without a default port; empty: AWS.
  std::string base_path_;  // "" or "/x/y"
  std::string bucket_;
  bool virtual_hosted_ = false;
};

}  // namespace modelfs::fetch
