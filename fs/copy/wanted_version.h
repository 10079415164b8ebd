#pragma once

#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/registry.h"

namespace modelfs::fs {

/// Finds version `wanted` of `model` (raw name): a number, "latest" or "@ALIAS". Waits for answers.
/// Errors: kNotFound, naming what there is instead; kInvalid, when the version is not ready yet;
/// those of the registry.
Result<fetch::ModelVersion> FindVersion(fetch::Registry& registry, const std::string& model,
                                        const std::string& wanted);

/// "there are a, b, c and 7 more", in the order given; "there is none".
std::string WhatThereIs(std::vector<std::string> names);

}  // namespace modelfs::fs
