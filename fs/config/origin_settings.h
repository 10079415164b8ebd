#pragma once

#include "fetch/origin_factory.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// What fetch::MakeOrigin wants to know, from what configuration found out.
fetch::OriginSettings ToOriginSettings(const SourceSpec& source);

}  // namespace modelfs::fs
