#pragma once

// Comes before everything else in the files that speak gRPC (see CMakeLists.txt): Abseil defines
// the names of fetch/base/mutex.h for itself.
#include <grpcpp/grpcpp.h>

#include "csi.grpc.pb.h"

#undef GUARDED_BY
#undef PT_GUARDED_BY
#undef ACQUIRED_BEFORE
#undef ACQUIRED_AFTER
#undef NO_THREAD_SAFETY_ANALYSIS
