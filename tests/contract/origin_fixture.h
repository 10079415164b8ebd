#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fetch/fetch_context.h"
#include "fetch/origin.h"
#include "tests/contract/origin_host.h"
#include "tests/support/await.h"
#include "tests/support/pattern.h"

namespace modelfs::test {

/// Keeps what it is given. Written by the origin's thread, read after the completion.
class CollectingSink final : public fetch::BodySink {
 public:
  void Append(std::span<const std::byte> bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// `size` bytes of PatternBytes(seed) as a string, to be uploaded.
inline std::string PatternText(std::uint64_t seed, std::size_t size) {
  std::string text(size, '\0');
  PatternBytes(seed, 0, std::as_writable_bytes(std::span(text)));
  return text;
}

/// One host for all tests of a suite; per test a folder of its own and a fetch context.
template <class Host>
class OriginFixture : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto host = Host::Start();
    if (host) {
      host_ = *std::move(host);
    } else {
      problem_ = host.error().what;
      missing_ = host.error().code == Errc::kNotFound;
    }
  }
  static void TearDownTestSuite() { host_.reset(); }

  void SetUp() override {
    // A second opinion that is not installed; the others are never skipped.
    if (std::is_same_v<Host, MotoHost> && missing_) GTEST_SKIP() << problem_;
    ASSERT_TRUE(host_) << problem_;
  }

  Host& host() { return static_cast<Host&>(*host_); }
  static std::string Folder() {
    return testing::UnitTest::GetInstance()->current_test_info()->name();
  }

  void Put(const std::string& name, std::string bytes) {
    const auto put = host_->Put(Folder(), name, std::move(bytes));
    ASSERT_TRUE(put) << put.error().what;
  }

  /// The origin whose root is this test's folder.
  std::shared_ptr<fetch::Origin> Open() {
    auto origin = host_->Open(context_, Folder());
    if (origin) return *std::move(origin);
    ADD_FAILURE() << origin.error().what;
    return nullptr;
  }

  static Result<fetch::Listing> List(fetch::Origin& origin, const std::string& directory = "") {
    Await<fetch::Listing> listing;
    origin.List(directory, listing.done());
    return listing.Wait();
  }

  /// Names in the order listed; a directory has a slash behind it.
  static std::vector<std::string> Names(const Result<fetch::Listing>& listing) {
    std::vector<std::string> names;
    if (!listing) return {"error: " + listing.error().what};
    for (const fetch::Entry& entry : listing->entries) {
      names.push_back(entry.name + (entry.kind == fetch::Entry::Kind::kDirectory ? "/" : ""));
    }
    return names;
  }

  /// The identity of the file `name` in `directory`, as listed now.
  static fetch::ObjectId Pin(fetch::Origin& origin, const std::string& name,
                             const std::string& directory = "") {
    const auto listing = List(origin, directory);
    if (listing) {
      for (const fetch::Entry& entry : listing->entries) {
        if (entry.name == name && entry.kind == fetch::Entry::Kind::kFile) {
          return origin.Pin(directory, entry);
        }
      }
      ADD_FAILURE() << "'" << name << "' is not among " << testing::PrintToString(Names(listing));
    } else {
      ADD_FAILURE() << listing.error().what;
    }
    return {};
  }

  /// As a reader does it: from an origin that gives objects only as a whole, the whole.
  static Result<std::vector<std::byte>> Read(fetch::Origin& origin, const fetch::ObjectId& object,
                                             ByteRange range) {
    const ByteRange all{0, object.size_bytes};
    auto read = ReadOnce(origin, object, range);
    if (read || read.error().code != Errc::kUnranged) return read;
    EXPECT_EQ(origin.DeliveryOf(object), fetch::Delivery::kStream);
    read = ReadOnce(origin, object, all);
    if (!read) return read;
    return std::vector<std::byte>(read->begin() + static_cast<std::ptrdiff_t>(range.begin),
                                  read->begin() + static_cast<std::ptrdiff_t>(range.end));
  }

  static Result<std::vector<std::byte>> ReadOnce(fetch::Origin& origin,
                                                 const fetch::ObjectId& object, ByteRange range) {
    const auto sink = std::make_shared<CollectingSink>();
    Await<void> done;
    origin.Read(object, range, sink, done.done());
    const auto read = done.Wait();
    if (!read) return std::unexpected(read.error());
    return sink->bytes();
  }

  /// Reads `range` and compares it with the pattern of `seed`.
  static testing::AssertionResult ReadsPattern(fetch::Origin& origin, const fetch::ObjectId& object,
                                               ByteRange range, std::uint64_t seed) {
    const auto bytes = Read(origin, object, range);
    if (!bytes) return testing::AssertionFailure() << bytes.error().what;
    if (bytes->size() != range.size()) {
      return testing::AssertionFailure() << bytes->size() << " bytes, not " << range.size();
    }
    if (const auto at = PatternMismatch(seed, range.begin, *bytes)) {
      return testing::AssertionFailure() << "byte " << range.begin + *at << " is wrong";
    }
    return testing::AssertionSuccess();
  }

  static Result<void> Probe(fetch::Origin& origin) {
    Await<void> done;
    origin.Probe(kProbeDeadline, done.done());
    return done.Wait(kProbeDeadline + std::chrono::seconds(5));
  }
  static constexpr std::chrono::milliseconds kProbeDeadline{8'000};

  fetch::FetchContext& context() { return context_; }

 private:
  inline static std::unique_ptr<OriginHost> host_;
  inline static std::string problem_;
  inline static bool missing_ = false;
  fetch::FetchContext context_{{}};
};

/// Readable names of typed suites.
struct HostNames {
  template <class Host>
  static std::string GetName(int) {
    if (std::is_same_v<Host, DirHost>) return "Dir";
    if (std::is_same_v<Host, FakeHost>) return "Fake";
    if (std::is_same_v<Host, EmbeddedHost>) return "Embedded";
    if (std::is_same_v<Host, EmbeddedPercentHost>) return "EmbeddedPercent";
    if (std::is_same_v<Host, VersitygwHost>) return "Versitygw";
    if (std::is_same_v<Host, NginxHost>) return "Nginx";
    if (std::is_same_v<Host, NginxJsonHost>) return "NginxJson";
    if (std::is_same_v<Host, PythonHost>) return "PythonHttpServer";
    return "Moto";
  }
};

}  // namespace modelfs::test
