#pragma once

#include <sys/mman.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace modelfs::test {

/// A stretch of a file in memory, read-only. `offset` must be a multiple of the page size.
class Mapping {
 public:
  Mapping(int fd, std::uint64_t offset, std::size_t size)
      : size_(size),
        data_(::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset))) {}
  ~Mapping() {
    if (*this) ::munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  explicit operator bool() const { return data_ != MAP_FAILED; }
  const unsigned char* data() const { return static_cast<const unsigned char*>(data_); }

 private:
  const std::size_t size_;
  void* const data_;
};

}  // namespace modelfs::test
