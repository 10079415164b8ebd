#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/origin.h"
#include "fetch/s3/s3_client.h"
#include "fetch/s3/s3_list_parser.h"

namespace modelfs::fetch {

/// Lists one "directory" of a bucket: all pages of ListObjectsV2 with delimiter '/', as entries.
///
/// A key that ends in the directory's own name is its marker and no entry. Keys that have an empty
/// component right below it cannot be shown; one warning per listing names them.
class S3Lister final : public S3Operation, public std::enable_shared_from_this<S3Lister> {
 public:
  /// `prefix`: raw, "" or ending in '/'.
  S3Lister(std::string bucket, std::string prefix, Done<Listing> done);

  std::string Describe() const override;
  S3Request NextAttempt() override;
  HttpVerdict Judge(const Result<HttpResponse>& outcome) override;
  bool TakeProgress() override { return std::exchange(progress_, false); }
  void Finish(Result<void> result) override;

 private:
  void Take(const S3ListPage& page);
  void AddDirectory(std::string_view name);
  void Skip(std::string_view key);

  const std::string bucket_;
  const std::string prefix_;
  Done<Listing> done_;
  std::string token_;
  bool progress_ = false;
  int unreadable_pages_ = 0;
  int barren_pages_ = 0;  // In a row.
  std::set<std::string, std::less<>> directories_;
  std::vector<Entry> entries_;
  std::vector<std::string> skipped_;  // The first few.
  std::size_t skipped_count_ = 0;
};

/// What pins an object that `etag` and `modified` describe: the ETag, or where the server gives
/// none, "modified=<seconds since the epoch>".
std::string S3Tag(const std::string& etag, std::chrono::system_clock::time_point modified);

}  // namespace modelfs::fetch
