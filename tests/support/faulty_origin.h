#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/origin.h"

namespace modelfs::test {

/// What a FaultyOrigin does to one read.
enum class OriginFault : std::uint8_t {
  kNone,       ///< Passes it on.
  kFail,       ///< Fails it at once with kTransient.
  kFailHalf,   ///< Delivers half of the bytes, then kTransient.
  kShortBody,  ///< Delivers half of the bytes, then claims success.
  kFlipByte,   ///< Flips one bit of the first byte.
  kChanged,    ///< Fails with kChanged.
  kHang,       ///< Never answers, until destroyed (kCancelled).
};

/// An origin that misbehaves by script: the n-th read gets the n-th fault; after the script it
/// behaves.
///
/// Threads: any. Lifetime: `good` is shared.
class FaultyOrigin final : public fetch::Origin {
 public:
  FaultyOrigin(std::shared_ptr<fetch::Origin> good, std::vector<OriginFault> script);
  ~FaultyOrigin() override;

  /// Reads seen so far.
  std::size_t reads() const;
  /// Appends to the script.
  void Then(OriginFault fault);

  std::string Describe() const override { return good_->Describe(); }
  void List(std::string directory, Done<fetch::Listing> done) override;
  fetch::ObjectId Pin(std::string_view directory, const fetch::Entry& entry) const override;
  fetch::Delivery DeliveryOf(const fetch::ObjectId& object) const override {
    return good_->DeliveryOf(object);
  }
  void Checksums(const fetch::ObjectId& object, Done<fetch::PublishedChecksums> done) override {
    good_->Checksums(object, std::move(done));
  }
  void Read(const fetch::ObjectId& object, ByteRange range, std::shared_ptr<fetch::BodySink> sink,
            Done<void> done) override;
  void Probe(std::chrono::milliseconds deadline, Done<void> done) override;

 private:
  const std::shared_ptr<fetch::Origin> good_;
  mutable Mutex mutex_;
  std::deque<OriginFault> script_ GUARDED_BY(mutex_);
  std::size_t reads_ GUARDED_BY(mutex_) = 0;
  std::vector<Done<void>> hanging_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::test
