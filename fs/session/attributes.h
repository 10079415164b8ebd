#pragma once

#include <sys/stat.h>

#include "fs/session/fuse_api.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// Seconds that the kernel may keep a node's attributes: they are part of its identity and never
/// change, but for a directory's time.
inline constexpr double kAttributeTimeoutSeconds = 24 * 3600.0;
/// The same of this node: a report's time is always now.
double AttributeTimeoutSeconds(const Node& node);

/// stat(2) of a node: 0444 or 0555 less the mount's umask, never sparse to the eye.
struct stat ToStat(const Node& node, const Tree::Options& options);

/// A lookup's answer, with how long name and attributes may be kept.
fuse_entry_param ToEntry(const Node& node, const Tree::Options& options);

/// "No such name", to be remembered for `valid_for`.
fuse_entry_param NegativeEntry(std::chrono::milliseconds valid_for);

}  // namespace modelfs::fs
