#include "fetch/credentials/refreshing_credentials.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace modelfs::fetch {
namespace {

constexpr std::chrono::seconds kTryAgainAfter{30};
constexpr std::chrono::minutes kExtension{15};

}  // namespace

const TemporaryKeys* RefreshingCredentials::Good(Time now) const {
  if (!keys_ || rejected_) return nullptr;
  const TemporaryKeys& keys = *keys_;
  return !keys.expires || now < *keys.expires ? &keys : nullptr;
}

void RefreshingCredentials::Get(const std::optional<Credentials>& rejected,
                                Done<std::optional<Credentials>> done) {
  std::optional<Credentials> ready;
  Done<std::optional<Credentials>> at_once;
  bool fetch = false;
  {
    const Time now = options_.wall_clock();
    MutexLock lock(mutex_);
    if (rejected && keys_ && keys_->keys == *rejected) rejected_ = true;
    bool wait = true;
    bool want = true;
    if (const TemporaryKeys* const good = Good(now)) {
      const bool may_try = good->expires && now >= next_try_;
      wait = may_try && now >= mandatory_;
      want = may_try && now >= advisory_;
      ready = good->keys;
    }
    if (wait) {
      waiters_.push_back(std::move(done));
    } else {
      at_once = std::move(done);
    }
    if (want && !fetching_) fetch = fetching_ = true;
  }
  if (at_once) at_once(std::move(ready));
  if (fetch) Fetch();
}

void RefreshingCredentials::Fetch() {
  if (stop_.stop_requested()) {
    return OnFetched(Fail(Errc::kCancelled, "cancelled"));
  }
  options_.source->Fetch(stop_.get_token(),
                         [self = shared_from_this()](Result<TemporaryKeys> result) {
                           self->OnFetched(std::move(result));
                         });
}

void RefreshingCredentials::Take(TemporaryKeys fetched, Time now) {
  rejected_ = false;
  next_try_ = Time{};
  if (fetched.expires && options_.keep_expired && *fetched.expires <= now) {
    fetched.expires = now + kExtension;
  }
  if (fetched.expires) {
    const auto life = *fetched.expires - now;
    advisory_ = *fetched.expires - std::min<Time::duration>(kAdvisory, life / 4);
    mandatory_ = *fetched.expires - std::min<Time::duration>(kMandatory, life / 10);
  }
  keys_ = std::move(fetched);
}

Error RefreshingCredentials::Explain(const Error& error) const {
  return {error.code,
          fmt::format("no credentials from {}: {}", options_.source->Describe(), error.what)};
}

void RefreshingCredentials::OnFetched(Result<TemporaryKeys> result) {
  const Time now = options_.wall_clock();
  const std::optional<Time> expires = result ? result->expires : std::nullopt;
  if (expires && *expires <= now && !options_.keep_expired) {
    result = Fail(Errc::kDenied, "it gives keys that have expired already; is the clock right?");
  }
  std::vector<Done<std::optional<Credentials>>> waiters;
  std::optional<Credentials> keys;
  bool fell_back = false;
  {
    MutexLock lock(mutex_);
    fetching_ = false;
    waiters.swap(waiters_);
    if (result) {
      Take(*result, now);
    } else {
      next_try_ = now + kTryAgainAfter;
      if (keys_ && Good(now) == nullptr && !rejected_ && options_.keep_expired &&
          result.error().code == Errc::kTransient) {
        keys_->expires = now + kExtension;
        advisory_ = mandatory_ = now;
      }
      fell_back = Good(now) != nullptr;
    }
    if (const TemporaryKeys* const good = Good(now)) keys = good->keys;
  }
  if (!result && result.error().code != Errc::kCancelled) {
    const Error error = Explain(result.error());
    if (fell_back) {
      spdlog::warn("credentials.refresh_failed principal=\"{}\" error=\"{}\"", options_.principal,
                   error.what);
    }
    result = std::unexpected(error);
  }
  for (auto& waiter : waiters) {
    if (keys) {
      waiter(keys);
    } else {
      waiter(std::unexpected(result ? Error{Errc::kDenied, "the keys were rejected"}
                                    : result.error()));
    }
  }
}

}  // namespace modelfs::fetch
