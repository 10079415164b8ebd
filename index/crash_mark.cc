#include "index/crash_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace modelfs::index {
namespace {

constexpr char kInside = '!';
constexpr char kOutside = '-';

}  // namespace

CrashMark::CrashMark(const std::filesystem::path& file)
    : path_(file), fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  std::array<char, 2> text{};
  if (!fd_ || ::pread(fd_.get(), text.data(), text.size(), 0) != 2) return;
  deaths_ = std::clamp(text[1] - '0', 0, 9);
  if (text[0] == kInside) deaths_ = std::min(deaths_ + 1, 9);
}

void CrashMark::Forget() { deaths_ = 0; }

void CrashMark::Enter() { Write(kInside); }

void CrashMark::Leave() {
  if (deaths_ > 0 && ++returns_ >= kForgiven) deaths_ = 0;
  Write(kOutside);
}

void CrashMark::Remove() {
  fd_.Reset();
  ::unlink(path_.c_str());
}

void CrashMark::Write(char state) {
  const std::array<char, 2> text{state, static_cast<char>('0' + deaths_)};
  if (fd_) static_cast<void>(::pwrite(fd_.get(), text.data(), text.size(), 0));
}

}  // namespace modelfs::index
