#pragma once

#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "tests/fault/disk/disk_calls.h"

namespace modelfs::test {

// What the replaced calls share.

/// The next definition of `name` after ours: the C library's, or a sanitizer's.
template <class Function>
Function Real(const char* name) {
  void* found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function>(found);
}

/// Null where nobody watches.
DiskWatcher* WatcherOf(const char* path);
/// The same for a descriptor; `path` gets what it is called.
DiskWatcher* WatcherOf(int fd, std::string& path);
bool IsDirect(int fd);
/// Waits as long as a slow disk does.
void AMoment();
/// Null: the kernel's.
const char* BootIdFile();

}  // namespace modelfs::test
