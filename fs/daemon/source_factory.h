#pragma once

#include "fetch/fetch_context.h"
#include "fs/spec.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// Makes the origin or the registry of `spec`. Sends nothing; see CheckSources. `context` outlives
/// it. Errors: as fetch::MakeOrigin and fetch::MakeRegistry, naming the source.
Result<Tree::Source> MakeSource(fetch::FetchContext& context, const SourceSpec& spec);

/// "source 'prod' (s3://models/prod)", for messages.
std::string DescribeSourceName(const std::string& name, const std::string& uri);

}  // namespace modelfs::fs
