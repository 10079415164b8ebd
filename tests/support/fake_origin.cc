#include "tests/support/fake_origin.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "tests/support/pattern.h"

namespace modelfs::test {
namespace {

constexpr std::uint64_t kPiece = 64 << 10;
constexpr std::chrono::seconds kLimit{10};

}  // namespace

std::vector<std::byte> MakeBytes(std::uint64_t seed, std::size_t size) {
  std::vector<std::byte> bytes(size);
  PatternBytes(seed, 0, bytes);
  return bytes;
}

FakeOrigin::FakeOrigin(std::string name) : name_(std::move(name)), thread_([this] { Run(); }) {}

FakeOrigin::~FakeOrigin() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
  std::deque<Transfer> left;
  {
    const MutexLock lock(mutex_);
    left.swap(transfers_);
  }
  for (Transfer& t : left) t.done(Fail(Errc::kCancelled, "fake origin: destroyed"));
}

fetch::ObjectId FakeOrigin::MakeId(const std::string& key, const std::string& tag,
                                   std::uint64_t size) const {
  return {.domain = "test", .source = name_, .key = key, .tag = tag, .size_bytes = size};
}

fetch::ObjectId FakeOrigin::Put(const std::string& key, std::vector<std::byte> bytes) {
  const MutexLock lock(mutex_);
  Object object{"\"v" + std::to_string(++versions_) + "\"",
                std::make_shared<const std::vector<std::byte>>(std::move(bytes))};
  auto id = MakeId(key, object.tag, object.bytes->size());
  objects_[key] = std::move(object);
  return id;
}

void FakeOrigin::Remove(const std::string& key) {
  const MutexLock lock(mutex_);
  objects_.erase(key);
}

fetch::ObjectId FakeOrigin::IdOf(const std::string& key) const {
  const MutexLock lock(mutex_);
  const Object& object = objects_.at(key);
  return MakeId(key, object.tag, object.bytes->size());
}

void FakeOrigin::OnlyStreams(Streams how) {
  const MutexLock lock(mutex_);
  only_streams_ = true;
  says_so_ = how == Streams::kAnnounced;
}

void FakeOrigin::Publish(const std::string& key, fetch::PublishedChecksums checksums) {
  const MutexLock lock(mutex_);
  checksums_[key] = std::move(checksums);
}

void FakeOrigin::Corrupt(const std::string& key, std::vector<std::byte> wrong, int deliveries) {
  const MutexLock lock(mutex_);
  const auto& good = *objects_.at(key).bytes;
  const auto first = static_cast<std::uint64_t>(
      std::mismatch(good.begin(), good.end(), wrong.begin()).first - good.begin());
  wrong_[key] = {std::make_shared<const std::vector<std::byte>>(std::move(wrong)), deliveries,
                 first};
}

std::size_t FakeOrigin::checksum_requests() const {
  const MutexLock lock(mutex_);
  return checksum_requests_;
}

fetch::Delivery FakeOrigin::DeliveryOf(const fetch::ObjectId&) const {
  const MutexLock lock(mutex_);
  return says_so_ ? fetch::Delivery::kStream : fetch::Delivery::kRanges;
}

void FakeOrigin::Checksums(const fetch::ObjectId& object, Done<fetch::PublishedChecksums> done) {
  fetch::PublishedChecksums checksums;
  {
    const MutexLock lock(mutex_);
    ++checksum_requests_;
    if (const auto found = checksums_.find(object.key); found != checksums_.end()) {
      checksums = found->second;
    }
  }
  done(std::move(checksums));
}

void FakeOrigin::Hold() {
  const MutexLock lock(mutex_);
  held_ = true;
}

void FakeOrigin::Release(std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  credit_ += bytes;
  changed_.NotifyAll();
}

void FakeOrigin::ReleaseAll() {
  const MutexLock lock(mutex_);
  held_ = false;
  credit_ = 0;
  changed_.NotifyAll();
}

bool FakeOrigin::AwaitRequests(std::size_t count) const {
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  const MutexLock lock(mutex_);
  while (requests_.size() < count) {
    if (!changed_.WaitUntil(mutex_, deadline)) return requests_.size() >= count;
  }
  return true;
}

bool FakeOrigin::AwaitQuiet() const {
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  const MutexLock lock(mutex_);
  while (busy_ || !(transfers_.empty() || (held_ && credit_ == 0))) {
    if (!changed_.WaitUntil(mutex_, deadline)) return false;
  }
  return true;
}

std::vector<FakeOrigin::Request> FakeOrigin::requests() const {
  const MutexLock lock(mutex_);
  return requests_;
}

std::uint64_t FakeOrigin::bytes_asked() const {
  const MutexLock lock(mutex_);
  std::uint64_t sum = 0;
  for (const Request& r : requests_) sum += r.range.size();
  return sum;
}

void FakeOrigin::List(std::string directory, Done<fetch::Listing> done) {
  std::map<std::string, fetch::Entry> entries;
  {
    const MutexLock lock(mutex_);
    for (const auto& [key, object] : objects_) {
      if (!key.starts_with(directory) || key.size() == directory.size()) continue;
      const std::string rest = key.substr(directory.size());
      const auto slash = rest.find('/');
      fetch::Entry entry;
      entry.name = rest.substr(0, slash);
      if (slash == std::string::npos) {
        entry.size_bytes = object.bytes->size();
        entry.tag = object.tag;
      } else {
        entry.kind = fetch::Entry::Kind::kDirectory;
      }
      entries.emplace(entry.name, std::move(entry));
    }
  }
  fetch::Listing listing;
  for (auto& [name, entry] : entries) listing.entries.push_back(std::move(entry));
  done(std::move(listing));
}

fetch::ObjectId FakeOrigin::Pin(std::string_view directory, const fetch::Entry& entry) const {
  return MakeId(std::string(directory) + entry.name, entry.tag, entry.size_bytes);
}

void FakeOrigin::Read(const fetch::ObjectId& object, ByteRange range,
                      std::shared_ptr<fetch::BodySink> sink, Done<void> done) {
  const MutexLock lock(mutex_);
  requests_.push_back({object.key, range});
  Transfer transfer{
      .bytes = {}, .left = range, .sink = std::move(sink), .done = std::move(done), .error = {}};
  const auto found = objects_.find(object.key);
  if (found == objects_.end()) {
    transfer.error = Error{Errc::kChanged, "GET " + object.key + ": no such object"};
  } else if (found->second.tag != object.tag) {
    transfer.error = Error{Errc::kChanged, "GET " + object.key + ": replaced at the origin"};
  } else if (only_streams_ && range.size() != object.size_bytes) {
    transfer.error = Error{Errc::kUnranged, "GET " + object.key + ": no ranges here"};
    says_so_ = true;
    requests_.pop_back();  // Nothing was sent of it.
  } else {
    transfer.bytes = found->second.bytes;
    const auto wrong = wrong_.find(object.key);
    if (wrong != wrong_.end() && wrong->second.left > 0 &&
        range.Contains(ByteRange::At(wrong->second.first, 1))) {
      --wrong->second.left;
      transfer.bytes = wrong->second.bytes;
    }
  }
  transfers_.push_back(std::move(transfer));
  changed_.NotifyAll();
}

void FakeOrigin::Probe(std::chrono::milliseconds, Done<void> done) { done({}); }

void FakeOrigin::Run() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    if (transfers_.empty() || (held_ && credit_ == 0 && !transfers_.front().error)) {
      changed_.NotifyAll();
      changed_.Wait(mutex_);
      continue;
    }
    Transfer transfer = std::move(transfers_.front());
    transfers_.pop_front();
    busy_ = true;
    if (!transfer.error) {
      const std::uint64_t most = held_ ? std::min(credit_, kPiece) : kPiece;
      const std::uint64_t n = std::min(most, transfer.left.size());
      if (held_) credit_ -= n;
      lock.Unlock();
      transfer.sink->Append({transfer.bytes->data() + transfer.left.begin, n});
      transfer.left.begin += n;
      lock.Lock();
    }
    if (transfer.error || transfer.left.empty()) {
      lock.Unlock();
      if (transfer.error) {
        transfer.done(std::unexpected(std::move(*transfer.error)));
      } else {
        transfer.done({});
      }
      transfer = {};
      lock.Lock();
    } else {
      transfers_.push_front(std::move(transfer));
    }
    busy_ = false;
  }
}

}  // namespace modelfs::test
