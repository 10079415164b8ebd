#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/byte_range.h"
#include "fetch/base/error.h"
#include "fetch/published_checksum.h"

namespace modelfs::fetch {

/// The pinned identity of an immutable sequence of bytes. Two equal ids are the same bytes,
/// whatever path or route led to them; if the origin's object changes it gets another id.
struct ObjectId {
  std::string domain;  ///< Hash of endpoint and credential principal; bytes are shared within it.
  std::string source;  ///< Where the key lives, canonical: "s3://bucket@https://host:9000".
  std::string key;     ///< The object's own name there, raw bytes.
  std::string tag;     ///< What pins it: ETag (quotes kept) or version id, opaque.
  std::uint64_t size_bytes = 0;

  friend bool operator==(const ObjectId&, const ObjectId&) = default;

  /// 64 hex digits: SHA-256 over the length-prefixed fields. Names the object on disk.
  std::string Digest() const;
  /// "s3://bucket/key" for people and logs.
  std::string Describe() const;
};

/// One name in a directory of an origin.
struct Entry {
  enum class Kind : std::uint8_t {
    kFile,       ///< An object.
    kDirectory,  ///< A common prefix, or a folder.
  };
  std::string name;  ///< One component, raw bytes as the origin has them; never empty, no '/'.
  Kind kind = Kind::kFile;
  std::uint64_t size_bytes = 0;                      ///< Files only.
  std::chrono::system_clock::time_point modified{};  ///< Epoch where the origin does not say.
  std::string tag;                                   ///< Files only; see ObjectId::tag.
};

/// A whole directory at one moment, names unique, sorted by name as bytes.
struct Listing {
  std::vector<Entry> entries;
};

/// Receives the body of a ranged read while it arrives.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// The next bytes of the range, in order and without gap. Called on the origin's thread; must
  /// not wait. What was appended is final: a retry inside the origin goes on behind it.
  virtual void Append(std::span<const std::byte> bytes) = 0;
  /// When it asks to stop, nobody wants the rest: the read ends with kCancelled, soon where its
  /// bytes come over a network. The same token for the life of the sink; some more may be appended.
  virtual std::stop_token Stop() const { return {}; }
  /// Whether somebody waits for these bytes: they go first under a limit of bandwidth.
  virtual bool IsUrgent() const { return false; }
};

/// How the bytes of an object can be had.
enum class Delivery : std::uint8_t {
  kRanges,  ///< Any range, any number of them at once.
  kStream,  ///< Only as a whole, from the first byte on: a server that knows no ranges.
};

/// Where objects come from: list, and ranged reads of pinned objects.
///
/// Threads: all methods may be called from any thread and return at once; completions run on one of
/// the origin's own threads, exactly once, with no lock held, and must not wait.
/// Lifetime: destroying an origin makes what is in flight complete with kCancelled, soon and on the
/// same threads: a completion may run after the destructor has returned (it may itself drop the
/// last reference), but none after the FetchContext's.
class Origin {
 public:
  virtual ~Origin() = default;

  /// The URI it was made from, without secrets: "s3://bucket/prefix".
  virtual std::string Describe() const = 0;

  /// Lists `directory`: "" for the root of this origin, else "a/b/" with a trailing slash, raw
  /// bytes. An object that does not exist lists as empty where the origin cannot tell (S3).
  /// Errors: kNotFound, kDenied, kInvalid, kTransient (retries used up), kCancelled.
  virtual void List(std::string directory, Done<Listing> done) = 0;

  /// The identity of `entry`, a file, found in `directory`. Pure: no request.
  virtual ObjectId Pin(std::string_view directory, const Entry& entry) const = 0;

  /// How `object` can be read. May turn from kRanges to kStream once a server has shown that it
  /// ignores ranges (a Read has then failed with kUnranged), never back. Pure: no request.
  virtual Delivery DeliveryOf(const ObjectId& /*object*/) const { return Delivery::kRanges; }

  /// Reads `range` of `object` into `sink`. Never reads bytes of another identity.
  /// Success means that exactly range.size() bytes were appended.
  /// Errors: kNotFound, kDenied, kChanged (replaced at the origin), kCorrupt (an answer that makes
  /// no sense, e.g. a wrong Content-Range), kTransient (retries used up), kUnranged (only as a
  /// stream: see DeliveryOf; nothing was appended), kCancelled.
  /// Requires: range not empty and inside [0, object.size_bytes); with Delivery::kStream the whole
  /// object: one request then, begun again from 0 after a drop, what came before compared.
  virtual void Read(const ObjectId& object, ByteRange range, std::shared_ptr<BodySink> sink,
                    Done<void> done) = 0;

  /// What the origin publishes about `object`, at the price of at most a few cheap requests. An
  /// origin that publishes nothing answers with none at once, inside the call.
  /// Errors: as Read.
  virtual void Checksums(const ObjectId& /*object*/, Done<PublishedChecksums> done) {
    done(PublishedChecksums{});
  }

  /// One cheap authorised request that tells whether this origin can be used at all: name, key,
  /// credentials, endpoint, certificate. Fails within `deadline` with a text that names which.
  virtual void Probe(std::chrono::milliseconds deadline, Done<void> done) = 0;
};

}  // namespace modelfs::fetch
