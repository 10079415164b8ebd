#pragma once

#include <memory>
#include <string>
#include <utility>

#include "fetch/origin.h"

namespace modelfs::fs {

/// Stands where an origin was that is no longer configured: node ids that the kernel still holds
/// lead to an error that says so. Threads: any.
class GoneOrigin final : public fetch::Origin {
 public:
  explicit GoneOrigin(std::string described) : described_(std::move(described)) {}

  std::string Describe() const override { return described_; }
  void List(std::string, Done<fetch::Listing> done) override { done(Gone()); }
  fetch::ObjectId Pin(std::string_view directory, const fetch::Entry& entry) const override {
    return {.domain = {},
            .source = described_,
            .key = std::string(directory) + entry.name,
            .tag = entry.tag,
            .size_bytes = entry.size_bytes};
  }
  void Read(const fetch::ObjectId&, ByteRange, std::shared_ptr<fetch::BodySink>,
            Done<void> done) override {
    done(Gone());
  }
  void Probe(std::chrono::milliseconds, Done<void> done) override { done(Gone()); }

 private:
  std::unexpected<Error> Gone() const {
    return Fail(Errc::kNotFound, described_ + ": this source is no longer configured");
  }
  const std::string described_;
};

}  // namespace modelfs::fs
