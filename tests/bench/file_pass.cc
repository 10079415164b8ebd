#include "tests/bench/file_pass.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include "fetch/base/handle.h"
#include "tests/bench/measurement.h"
#include "tests/support/mapping.h"
#include "tests/support/pattern.h"

namespace modelfs::bench {
namespace {

// One line of bytes in so many is compared, which costs next to nothing.
constexpr std::uint64_t kCheckEvery = 64 << 10;
constexpr std::size_t kCheckBytes = 64;

/// Stands for the accelerator that computes while this thread waits for it.
class Device {
 public:
  Device() : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {}

  void Compute(std::chrono::microseconds time) {
    if (time.count() <= 0) return;
    itimerspec once{};
    once.it_value.tv_sec = time.count() / 1'000'000;
    once.it_value.tv_nsec = time.count() % 1'000'000 * 1000;
    ::timerfd_settime(timer_.get(), 0, &once, nullptr);
    std::uint64_t ticks = 0;
    if (::read(timer_.get(), &ticks, sizeof ticks) < 0) return;
  }

 private:
  Fd timer_;
};

/// Looks at every byte, as a copy to an accelerator does.
std::uint64_t Sum(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  std::size_t done = 0;
  for (; done + sizeof sum <= bytes.size(); done += sizeof sum) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + done, sizeof word);
    sum += word;
  }
  for (; done < bytes.size(); ++done) sum += std::to_integer<std::uint64_t>(bytes[done]);
  return sum;
}

class Reader {
 public:
  Reader(const FilePass& pass, int fd, std::span<const std::byte> mapped)
      : pass_(pass), fd_(fd), mapped_(mapped) {}

  Result<void> Read(const Step& step) {
    std::span<const std::byte> bytes;
    if (pass_.by_mmap) {
      bytes = mapped_.subspan(step.offset, step.size);
      sum_ = sum_ + Sum(bytes);
    } else {
      if (buffer_.size() < step.size) buffer_.resize(step.size);
      if (const auto got = Pread(step); !got) return got;
      bytes = std::span(buffer_).first(step.size);
    }
    return Check(step.offset, bytes);
  }

 private:
  Result<void> Pread(const Step& step) {
    for (std::uint64_t done = 0; done < step.size;) {
      const ssize_t n = ::pread(fd_, buffer_.data() + done, step.size - done,
                                static_cast<off_t>(step.offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FailErrno(errno, fmt::format("read {} at {}", pass_.path, step.offset));
      if (n == 0) return Fail(Errc::kIo, fmt::format("{} ends early", pass_.path));
      done += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  Result<void> Check(std::uint64_t offset, std::span<const std::byte> bytes) const {
    if (!pass_.pattern_seed) return {};
    for (std::uint64_t at = 0; at < bytes.size(); at += kCheckEvery) {
      if (offset + at < pass_.pattern_from) continue;
      const auto some = bytes.subspan(at, std::min<std::size_t>(kCheckBytes, bytes.size() - at));
      if (test::PatternMismatch(*pass_.pattern_seed, offset + at, some)) {
        return Fail(Errc::kCorrupt, fmt::format("{}: WRONG BYTE near {}", pass_.path, offset + at));
      }
    }
    return {};
  }

  const FilePass& pass_;
  const int fd_;
  const std::span<const std::byte> mapped_;
  std::vector<std::byte> buffer_;
  volatile std::uint64_t sum_ = 0;
};

}  // namespace

Result<std::uint64_t> FileSize(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return FailErrno(errno, "stat " + path);
  return static_cast<std::uint64_t>(info.st_size);
}

Result<nlohmann::json> FilePass::Run(const Plan& plan) const {
  const auto size = FileSize(path);
  if (!size) return std::unexpected(size.error());
  for (const Step& step : plan) {
    if (step.offset > *size || step.size > *size - step.offset) {
      return Fail(Errc::kInvalid, fmt::format("{} has {} bytes only", path, *size));
    }
  }
  Device device;
  Measurement measurement;
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return FailErrno(errno, "open " + path);
  measurement.Opened();
  std::optional<test::Mapping> mapping;
  std::span<const std::byte> mapped;
  if (by_mmap) {
    mapping.emplace(fd.get(), 0, *size);
    if (!*mapping) return FailErrno(errno, "mmap " + path);
    mapped = std::as_bytes(std::span(mapping->data(), *size));
  }
  Reader reader(*this, fd.get(), mapped);
  for (const Step& step : plan) {
    if (most_seconds > 0 && measurement.Seconds() > most_seconds) break;
    const Clock::time_point begun = Clock::now();
    if (const auto read = reader.Read(step); !read) return std::unexpected(read.error());
    device.Compute(step.compute);
    measurement.AddStep(begun, step.size);
  }
  return measurement.Summary(*size);
}

Result<void> WritePatternFile(const std::string& path, const std::string& head, std::uint64_t size,
                              std::uint64_t seed) {
  constexpr std::uint64_t kBlock = 4 << 20;
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return FailErrno(errno, "create " + path);
  std::vector<std::byte> block(kBlock);
  for (std::uint64_t at = 0; at < size; at += kBlock) {
    const auto part = std::span(block).first(std::min(kBlock, size - at));
    test::PatternBytes(seed, at, part);
    if (at < head.size()) {
      std::memcpy(part.data(), head.data() + at,
                  std::min<std::size_t>(part.size(), head.size() - at));
    }
    for (std::size_t done = 0; done < part.size();) {
      const ssize_t n = ::write(fd.get(), part.data() + done, part.size() - done);
      if (n < 0) return FailErrno(errno, "write " + path);
      done += static_cast<std::size_t>(n);
    }
  }
  return {};
}

}  // namespace modelfs::bench
