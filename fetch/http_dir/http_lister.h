#pragma once

#include <memory>
#include <string>

#include "fetch/http/retry.h"
#include "fetch/http_dir/http_client.h"
#include "fetch/http_dir/listing.h"
#include "fetch/http_dir/unranged_objects.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// Asks a web server for the listing of one directory: the directory itself, and where that gives
/// none, index.json in it.
class HttpLister final : public HttpDirOperation {
 public:
  /// `directory`: "" or "a/b/", raw.
  HttpLister(std::shared_ptr<HttpClient> client, std::string directory, Done<HttpListing> done)
      : client_(std::move(client)), directory_(std::move(directory)), done_(std::move(done)) {}

  std::string Describe() const override;
  HttpAttempt NextAttempt() override;
  HttpVerdict Judge(const Result<HttpResponse>& outcome) override;
  void Finish(Result<void> result) override;

 private:
  HttpVerdict TryIndexFile(Error why);

  const std::shared_ptr<HttpClient> client_;
  const std::string directory_;
  Done<HttpListing> done_;
  ListingPlace place_ = ListingPlace::kDirectory;
  Error first_{Errc::kNotFound, {}};  // What the directory itself answered.
  HttpListing listing_;
};

/// Makes a directory's entries of `listing`: files of which it does not say all are asked for by
/// HEAD, a few at a time. One that is gone, refused, or without a length is left out.
/// Threads: completions run on those of the client.
void CompleteListing(std::shared_ptr<HttpClient> client, const std::string& directory,
                     HttpListing listing, std::shared_ptr<UnrangedObjects> unranged,
                     const RetryOptions& retry, Done<Listing> done);

}  // namespace modelfs::fetch
