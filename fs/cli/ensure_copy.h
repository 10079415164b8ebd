#pragma once

#include <string>

#include "fetch/base/error.h"
#include "fs/cli/command.h"
#include "fs/cli/ensure_model.h"
#include "fs/cli/source_options.h"

namespace modelfs::fs {

/// Copies `wanted` to `<LOCAL_MODEL_PATH>/<model>/<version>`, without FUSE or a daemon, and returns
/// that path. What is whole there already is left as it is, for a version number without asking
/// anybody. Shows progress at `context.io.out`. Waits while another process copies the same.
///
/// Threads: the caller's, and those of a FetchContext while it runs.
/// Errors: kInvalid and kDenied of the configuration; kNotFound, naming what there is; kIo when
/// something else lies at the path; those of the registry, its files and the disk.
Result<std::string> CopyModel(const WantedModel& wanted, const SourceOptions& options,
                              const CommandContext& context);

}  // namespace modelfs::fs
