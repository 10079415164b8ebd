#pragma once

#include <sys/stat.h>

#include <stop_token>
#include <string>

#include "fetch/base/bandwidth.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// What pins a file: "<mtime_ns>-<size>-<inode>".
std::string DirTag(const struct stat& status);

/// Reads `range` of the file `object.key` below `root` into `sink`; blocks. Each piece is appended
/// only when the file had the pinned tag before and after it was read.
/// `bandwidth`: what it waits for; null: nothing.
/// Errors: kNotFound, kDenied, kChanged, kIo, kCancelled (`stop` or the sink asks).
Result<void> ReadDirObject(const std::string& root, const ObjectId& object, ByteRange range,
                           BodySink& sink, const std::stop_token& stop,
                           Bandwidth* bandwidth = nullptr);

}  // namespace modelfs::fetch
