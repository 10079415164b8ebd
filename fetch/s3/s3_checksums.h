#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fetch/origin.h"
#include "fetch/s3/s3_client.h"
#include "fetch/s3/s3_versions.h"

namespace modelfs::fetch {

/// Asks what S3 publishes of one pinned object:
///
///     HEAD, x-amz-checksum-mode: ENABLED   -> a checksum of the whole, or an ETag that is its MD5
///     GET ?attributes, a page per 1000 parts  (only where the checksum is COMPOSITE)
///
/// The second may be refused or unknown (s3:GetObjectAttributes, other servers); then what the
/// first said is all.
/// Source: docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
class S3ChecksumQuery final : public S3Operation {
 public:
  S3ChecksumQuery(ObjectId object, std::shared_ptr<const S3Versions> versions,
                  Done<PublishedChecksums> done);

  std::string Describe() const override;
  S3Request NextAttempt() override;
  HttpVerdict Judge(const Result<HttpResponse>& outcome) override;
  bool TakeProgress() override { return std::exchange(progress_, false); }
  void Finish(Result<void> result) override;

 private:
  HttpVerdict JudgeHead(const HttpResponse& head);
  HttpVerdict JudgeParts(const HttpResponse& response);
  /// False: the page makes no sense.
  bool TakePage(const std::string& xml);
  HttpVerdict WithoutParts();

  const ObjectId object_;
  const std::shared_ptr<const S3Versions> versions_;
  Done<PublishedChecksums> done_;
  bool progress_ = false;
  bool asking_parts_ = false;
  PublishedChecksums whole_;
  PublishedChecksums parts_;
  std::optional<ChecksumKind> part_kind_;
  std::uint64_t parts_end_ = 0;  // Bytes that the parts cover so far.
  std::string marker_;           // The last part number of the page before.
  int pages_ = 0;
};

/// The bytes of an ETag that is the MD5 of the object: 32 hex digits, and `head` names no
/// encryption by KMS or with a customer's key. Nullopt: opaque.
std::optional<std::string> Md5OfEtag(const HttpResponse& head);

}  // namespace modelfs::fetch
