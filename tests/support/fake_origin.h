#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/origin.h"

namespace modelfs::test {

/// The first `size` bytes of the sequence of `seed`, see pattern.h.
std::vector<std::byte> MakeBytes(std::uint64_t seed, std::size_t size);

/// An origin in memory that works. Objects are put by key; directories follow from their slashes.
///
/// By default each read is answered at once, on the origin's own thread, in pieces of 64 KiB. With
/// `Hold` a test lets the bytes out one by one.
/// Threads: any.
class FakeOrigin : public fetch::Origin {
 public:
  struct Request {
    std::string key;
    ByteRange range;
  };

  explicit FakeOrigin(std::string name = "fake");
  ~FakeOrigin() override;

  /// Makes or replaces an object; its tag changes with its content.
  fetch::ObjectId Put(const std::string& key, std::vector<std::byte> bytes);
  void Remove(const std::string& key);
  fetch::ObjectId IdOf(const std::string& key) const;

  /// From now on a Read of anything but a whole object fails with kUnranged. With `announced`
  /// DeliveryOf says so from the start, else after the first such failure.
  enum class Streams : std::uint8_t { kAnnounced, kUnannounced };
  void OnlyStreams(Streams how);
  /// What Checksums answers for `key` from now on.
  void Publish(const std::string& key, fetch::PublishedChecksums checksums);
  /// The next `deliveries` deliveries of any byte that differs get `wrong` instead: a link that
  /// flips bits. Requires: as long as the object.
  void Corrupt(const std::string& key, std::vector<std::byte> wrong, int deliveries);
  /// Calls of Checksums so far.
  std::size_t checksum_requests() const;

  /// From now on bodies wait until released.
  void Hold();
  /// Lets `bytes` more bytes out, in the order of the requests.
  void Release(std::uint64_t bytes);
  /// Lets everything out, now and from now on.
  void ReleaseAll();
  /// Blocks until `count` reads have been asked for since the start. False after 10 s.
  bool AwaitRequests(std::size_t count) const;
  /// Waits until nothing that may go out is left. False after 10 s.
  bool AwaitQuiet() const;

  std::vector<Request> requests() const;
  std::uint64_t bytes_asked() const;  ///< Sum of the ranges of all requests.

  // Origin
  std::string Describe() const override { return name_ + ":"; }
  void List(std::string directory, Done<fetch::Listing> done) override;
  fetch::ObjectId Pin(std::string_view directory, const fetch::Entry& entry) const override;
  fetch::Delivery DeliveryOf(const fetch::ObjectId& object) const override;
  void Checksums(const fetch::ObjectId& object, Done<fetch::PublishedChecksums> done) override;
  void Read(const fetch::ObjectId& object, ByteRange range, std::shared_ptr<fetch::BodySink> sink,
            Done<void> done) override;
  void Probe(std::chrono::milliseconds deadline, Done<void> done) override;

 private:
  struct Object {
    std::string tag;
    std::shared_ptr<const std::vector<std::byte>> bytes;
  };
  struct Transfer {
    std::shared_ptr<const std::vector<std::byte>> bytes;
    ByteRange left;
    std::shared_ptr<fetch::BodySink> sink;
    Done<void> done;
    std::optional<Error> error;
  };

  fetch::ObjectId MakeId(const std::string& key, const std::string& tag, std::uint64_t size) const;
  void Run();

  const std::string name_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::map<std::string, Object> objects_ GUARDED_BY(mutex_);
  std::uint64_t versions_ GUARDED_BY(mutex_) = 0;
  struct Wrong {
    std::shared_ptr<const std::vector<std::byte>> bytes;
    int left = 0;
    std::uint64_t first = 0;  ///< The first byte that differs.
  };
  std::map<std::string, Wrong> wrong_ GUARDED_BY(mutex_);
  std::map<std::string, fetch::PublishedChecksums> checksums_ GUARDED_BY(mutex_);
  std::size_t checksum_requests_ GUARDED_BY(mutex_) = 0;
  bool only_streams_ GUARDED_BY(mutex_) = false;
  bool says_so_ GUARDED_BY(mutex_) = false;
  std::vector<Request> requests_ GUARDED_BY(mutex_);
  std::deque<Transfer> transfers_ GUARDED_BY(mutex_);
  bool busy_ GUARDED_BY(mutex_) = false;
  bool held_ GUARDED_BY(mutex_) = false;
  std::uint64_t credit_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace modelfs::test
