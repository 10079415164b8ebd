#include "index/shared/survey.h"

#include <map>
#include <utility>

namespace modelfs::index::shared {

Result<Survey> LookAround(const SegmentFolder& folder, Heartbeat& heartbeat,
                          SurveyQuestion question) {
  Survey survey;
  // One call tells whether any segment was published, and makes a client forget that one was not.
  auto stamp = folder.Stamp();
  if (!stamp) return std::unexpected(std::move(stamp.error()));
  survey.stamp = *stamp;
  if (question.list || *stamp != question.stamp) {
    auto listing = folder.List();
    if (!listing) return std::unexpected(std::move(listing.error()));
    survey.listing = std::move(*listing);
  }
  std::map<std::string, std::chrono::milliseconds> ages;
  for (TheirClaim& claim : question.claims) {
    std::int64_t claimed_ns = 0;
    if (claim.holder.empty()) {
      const auto holder = folder.HolderOf(claim.index, claim.epoch);
      if (!holder) continue;  // The next listing tells.
      claim.holder = holder->instance;
      claimed_ns = holder->claimed_ns;
    }
    if (claim.holder == heartbeat.instance()) {  // Ours once, and nothing came of it.
      claim.silent = Heartbeat::kDead + std::chrono::seconds(1);
    } else if (claim.holder.empty()) {  // Claimed, and not signed: perhaps he has died in between.
      if (auto age = heartbeat.Since(claimed_ns)) claim.silent = *age;
    } else if (const auto known = ages.find(claim.holder); known != ages.end()) {
      claim.silent = known->second;
    } else if (auto age = heartbeat.AgeOf(claim.holder)) {
      claim.silent = *age;
      ages.emplace(claim.holder, *age);
    }
    survey.claims.push_back(std::move(claim));
  }
  return survey;
}

}  // namespace modelfs::index::shared
