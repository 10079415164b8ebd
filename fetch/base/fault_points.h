#pragma once

#include <optional>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs {

/// Named places where a test can make a race or a failure happen.
///
/// Product code calls `Hit` at a labelled point ("local_tier.write", "loader.publish"). A release
/// gets NoFaultPoints, which does nothing. A test's implementation may block in Hit until the test
/// lets go, or return an error that the caller treats as if the operation at that point had failed;
/// points behind an operation (".stored", ".replied") only show that it is done.
/// Threads: any. Hit is called with no lock held, but at `node_log.*` and `index_db.record`: there
/// a test may look or die, not block.
class FaultPoints {
 public:
  virtual ~FaultPoints() = default;
  virtual std::optional<Error> Hit(std::string_view point) = 0;
};

class NoFaultPoints final : public FaultPoints {
 public:
  std::optional<Error> Hit(std::string_view) override { return std::nullopt; }
};

}  // namespace modelfs
