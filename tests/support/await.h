#pragma once

#include "fetch/base/await.h"

namespace modelfs::test {

using modelfs::Await;

}  // namespace modelfs::test
