#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>

#include "fetch/base/mutex.h"
#include "fetch/base/percent.h"
#include "fetch/http_dir/http_head.h"
#include "fetch/http_dir/http_lister.h"

namespace modelfs::fetch {
namespace {

constexpr std::size_t kHeadsAtOnce = 16;

/// The files of one listing on their way to be entries.
class Completion : public std::enable_shared_from_this<Completion> {
 public:
  Completion(std::shared_ptr<HttpClient> client, std::string directory, HttpListing listing,
             std::shared_ptr<UnrangedObjects> unranged, const RetryOptions& retry,
             Done<Listing> done)
      : client_(std::move(client)),
        directory_(std::move(directory)),
        unranged_(std::move(unranged)),
        retry_(retry),
        done_(std::move(done)) {
    const auto order = [](const HttpListed& e) {
      return std::pair<std::string_view, Entry::Kind>(e.name, e.kind);
    };
    std::ranges::sort(listing.entries, {}, order);
    const auto repeated = std::ranges::unique(listing.entries, {}, order);
    listing.entries.erase(repeated.begin(), repeated.end());
    entries_ = std::move(listing.entries);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const HttpListed& entry = entries_[i];
      const bool known =
          entry.kind == Entry::Kind::kDirectory || (entry.size_bytes && !entry.tag.empty());
      if (!known) to_ask_.push_back(i);
    }
  }

  void Start() {
    const std::size_t first = std::min(kHeadsAtOnce, to_ask_.size());
    if (first == 0) return Finish();
    {
      MutexLock lock(mutex_);
      next_ = first;
      in_flight_ = first;
    }
    for (std::size_t i = 0; i < first; ++i) Ask(to_ask_[i]);
  }

 private:
  void Ask(std::size_t index) {
    client_->Run(std::make_shared<HttpHead>(
                     client_, directory_ + entries_[index].name,
                     [self = shared_from_this(), index](Result<HttpHeadAnswer> answer) {
                       self->OnAnswer(index, std::move(answer));
                     }),
                 retry_);
  }

  void OnAnswer(std::size_t index, Result<HttpHeadAnswer> answer) {
    // Each entry is touched by its own answer alone.
    HttpListed& entry = entries_[index];
    std::optional<Error> failure;
    entry.tag.clear();
    if (answer && answer->size_bytes) {
      entry.size_bytes = answer->size_bytes;
      entry.modified = answer->modified;
      entry.tag = std::move(answer->tag);
      if (answer->unranged) unranged_->Add(directory_ + entry.name);
    } else if (!answer && answer.error().code != Errc::kNotFound &&
               answer.error().code != Errc::kDenied) {
      failure = std::move(answer.error());
    }
    std::size_t ask = 0;
    bool more = false;
    bool last = false;
    {
      MutexLock lock(mutex_);
      if (failure && !failure_) failure_ = std::move(failure);
      if (!failure_ && next_ < to_ask_.size()) {
        ask = to_ask_[next_++];
        more = true;
      } else {
        last = --in_flight_ == 0;
      }
    }
    if (more) Ask(ask);
    if (last) Finish();
  }

  void Finish() {
    std::optional<Error> failure;
    {
      MutexLock lock(mutex_);
      failure.swap(failure_);
    }
    if (failure) return std::exchange(done_, nullptr)(std::unexpected(*std::move(failure)));
    Listing listing;
    std::size_t left_out = 0;
    for (HttpListed& entry : entries_) {
      if (entry.kind == Entry::Kind::kFile && entry.tag.empty()) {
        ++left_out;
        continue;
      }
      listing.entries.push_back({.name = std::move(entry.name),
                                 .kind = entry.kind,
                                 .size_bytes = entry.size_bytes.value_or(0),
                                 .modified = entry.modified,
                                 .tag = std::move(entry.tag)});
    }
    if (left_out > 0) {
      spdlog::warn("http.files_left_out where=\"{}\" count={} why=\"gone, refused or no length\"",
                   client_->Describe("LIST", directory_), left_out);
    }
    std::exchange(done_, nullptr)(std::move(listing));
  }

  const std::shared_ptr<HttpClient> client_;
  const std::string directory_;
  const std::shared_ptr<UnrangedObjects> unranged_;
  const RetryOptions retry_;
  Done<Listing> done_;
  std::vector<HttpListed> entries_;
  std::vector<std::size_t> to_ask_;

  Mutex mutex_;
  std::size_t next_ GUARDED_BY(mutex_) = 0;
  std::size_t in_flight_ GUARDED_BY(mutex_) = 0;
  std::optional<Error> failure_ GUARDED_BY(mutex_);
};

}  // namespace

void CompleteListing(std::shared_ptr<HttpClient> client, const std::string& directory,
                     HttpListing listing, std::shared_ptr<UnrangedObjects> unranged,
                     const RetryOptions& retry, Done<Listing> done) {
  std::make_shared<Completion>(std::move(client), directory, std::move(listing),
                               std::move(unranged), retry, std::move(done))
      ->Start();
}

}  // namespace modelfs::fetch
