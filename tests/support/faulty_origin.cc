#include "tests/support/faulty_origin.h"

#include <utility>

namespace modelfs::test {
namespace {

/// Flips a bit of the first byte that passes.
class FlippingSink final : public fetch::BodySink {
 public:
  explicit FlippingSink(std::shared_ptr<fetch::BodySink> next) : next_(std::move(next)) {}
  void Append(std::span<const std::byte> bytes) override {
    if (!flipped_ && !bytes.empty()) {
      const std::byte wrong = bytes.front() ^ std::byte{1};
      flipped_ = true;
      next_->Append({&wrong, 1});
      bytes = bytes.subspan(1);
    }
    if (!bytes.empty()) next_->Append(bytes);
  }
  std::stop_token Stop() const override { return next_->Stop(); }
  bool IsUrgent() const override { return next_->IsUrgent(); }

 private:
  const std::shared_ptr<fetch::BodySink> next_;
  bool flipped_ = false;
};

}  // namespace

FaultyOrigin::FaultyOrigin(std::shared_ptr<fetch::Origin> good, std::vector<OriginFault> script)
    : good_(std::move(good)), script_(script.begin(), script.end()) {}

FaultyOrigin::~FaultyOrigin() {
  std::vector<Done<void>> hanging;
  {
    const MutexLock lock(mutex_);
    hanging.swap(hanging_);
  }
  for (auto& done : hanging) done(Fail(Errc::kCancelled, "faulty origin: destroyed"));
}

std::size_t FaultyOrigin::reads() const {
  const MutexLock lock(mutex_);
  return reads_;
}

void FaultyOrigin::Then(OriginFault fault) {
  const MutexLock lock(mutex_);
  script_.push_back(fault);
}

void FaultyOrigin::List(std::string directory, Done<fetch::Listing> done) {
  good_->List(std::move(directory), std::move(done));
}

fetch::ObjectId FaultyOrigin::Pin(std::string_view directory, const fetch::Entry& entry) const {
  return good_->Pin(directory, entry);
}

void FaultyOrigin::Read(const fetch::ObjectId& object, ByteRange range,
                        std::shared_ptr<fetch::BodySink> sink, Done<void> done) {
  OriginFault fault = OriginFault::kNone;
  {
    const MutexLock lock(mutex_);
    ++reads_;
    if (!script_.empty()) {
      fault = script_.front();
      script_.pop_front();
    }
    if (fault == OriginFault::kHang) {
      hanging_.push_back(std::move(done));
      return;
    }
  }
  const ByteRange half{range.begin, range.begin + (range.size() + 1) / 2};
  switch (fault) {
    case OriginFault::kNone: good_->Read(object, range, std::move(sink), std::move(done)); break;
    case OriginFault::kFail: done(Fail(Errc::kTransient, "faulty origin: failed")); break;
    case OriginFault::kFailHalf:
      good_->Read(object, half, std::move(sink), [done = std::move(done)](Result<void>) mutable {
        done(Fail(Errc::kTransient, "faulty origin: connection lost"));
      });
      break;
    case OriginFault::kShortBody:
      good_->Read(object, half, std::move(sink), std::move(done));
      break;
    case OriginFault::kFlipByte:
      good_->Read(object, range, std::make_shared<FlippingSink>(std::move(sink)), std::move(done));
      break;
    case OriginFault::kChanged: done(Fail(Errc::kChanged, "faulty origin: replaced")); break;
    case OriginFault::kHang: break;
  }
}

void FaultyOrigin::Probe(std::chrono::milliseconds deadline, Done<void> done) {
  good_->Probe(deadline, std::move(done));
}

}  // namespace modelfs::test
