#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "fetch/base/error.h"
#include "tests/support/origin/fault.h"
#include "tests/support/origin/link.h"
#include "tests/support/origin/object_store.h"
#include "tests/support/origin/request_log.h"
#include "tests/support/origin/s3_message.h"

namespace modelfs::test {

/// The requests below /_origin/: how a test outside this process looks at the origin and steers it.
/// They are neither shaped nor authenticated nor logged. Threads: any.
class ControlService {
 public:
  /// All borrowed.
  ControlService(ObjectStore* store, Link* link, FaultScript* faults, RequestLog* log)
      : store_(store), link_(link), faults_(faults), log_(log) {}

  static bool Owns(std::string_view raw_path) { return raw_path.starts_with("/_origin/"); }

  /// `what`: the path behind /_origin/.
  S3Reply Handle(const std::string& method, const std::string& what, const std::string& body);

 private:
  Result<std::string> Get(const std::string& what) const;
  Result<std::string> Post(const std::string& what, const std::string& body);
  Result<void> SetLink(const nlohmann::json& json);

  ObjectStore* const store_;
  Link* const link_;
  FaultScript* const faults_;
  RequestLog* const log_;
};

/// Puts the objects of a JSON list into `store`: {"bucket", "key" or "key_url" (percent-encoded raw
/// bytes), and "text", "file" (a path), or "size" and "seed"}. All or, on an error, the first few.
/// Errors: kInvalid, kIo.
Result<void> PutObjects(const nlohmann::json& list, ObjectStore& store);

}  // namespace modelfs::test
