#pragma once

#include <memory>
#include <stop_token>
#include <utility>

#include "fetch/origin.h"

namespace modelfs::fetch {

/// A sink that does something with what it passes on to another. What the other wants, it wants.
///
/// Threads: those of BodySink. Shares the sink that it passes on to.
class ForwardingSink : public BodySink {
 public:
  explicit ForwardingSink(std::shared_ptr<BodySink> to) : to_(std::move(to)) {}
  void Append(std::span<const std::byte> bytes) override { to_->Append(bytes); }
  std::stop_token Stop() const override { return to_->Stop(); }
  bool IsUrgent() const override { return to_->IsUrgent(); }

 private:
  const std::shared_ptr<BodySink> to_;
};

}  // namespace modelfs::fetch
