#pragma once

#include <string>

#include "fetch/origin.h"

namespace modelfs::test {

/// Keeps what is appended.
class StringSink final : public fetch::BodySink {
 public:
  void Append(std::span<const std::byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::string text;
};

}  // namespace modelfs::test
