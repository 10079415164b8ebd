#pragma once

#include <unistd.h>

#include <memory>
#include <utility>

namespace modelfs {

/// A C handle owned by unique_ptr with the library's own free function:
/// `using CurlEasy = Handle<CURL, curl_easy_cleanup>;`
template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* p) const noexcept {
    static_cast<void>(Free(p));
  }
};
template <class T, auto Free>
using Handle = std::unique_ptr<T, FreeWith<Free>>;

/// Owns a file descriptor; move-only. -1 is "none". Closing ignores errors: whoever must know
/// whether a close failed (network filesystems) calls Release() and ::close() itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&& o) noexcept {
    if (this != &o) Reset(std::exchange(o.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace modelfs
