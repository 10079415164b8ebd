#include "index/disk_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <future>
#include <vector>

#include "fetch/base/handle.h"
#include "tests/support/fake_origin.h"
#include "tests/support/temp_dir.h"

namespace modelfs::index {
namespace {

using test::MakeBytes;

/// One suite over both backends: they must not differ.
class DiskIoTest : public ::testing::TestWithParam<IoBackend> {
 protected:
  void SetUp() override {
    auto io = MakeDiskIo(GetParam());
    if (!io) GTEST_SKIP() << "no io_uring here: " << io.error().what;
    io_ = std::move(*io);
    fd_ = Fd(::open((dir_.path() / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd_);
  }

  Result<void> Write(int fd, std::uint64_t offset, std::span<const std::byte> src) {
    std::promise<Result<void>> promise;
    io_->Write(fd, offset, src, [&](Result<void> r) { promise.set_value(std::move(r)); });
    return promise.get_future().get();
  }
  Result<std::size_t> Read(int fd, std::uint64_t offset, std::span<std::byte> dst) {
    std::promise<Result<std::size_t>> promise;
    io_->Read(fd, offset, dst, [&](Result<std::size_t> r) { promise.set_value(std::move(r)); });
    return promise.get_future().get();
  }

  test::TempDir dir_;
  std::unique_ptr<DiskIo> io_;
  Fd fd_;
};

TEST_P(DiskIoTest, ReadsWhatItWrote) {
  const auto bytes = MakeBytes(1, 3'000'001);
  ASSERT_TRUE(Write(fd_.get(), 12345, bytes));
  std::vector<std::byte> back(bytes.size());
  EXPECT_EQ(Read(fd_.get(), 12345, back).value(), bytes.size());
  EXPECT_EQ(back, bytes);
}

TEST_P(DiskIoTest, IsShortOnlyAtTheEndOfTheFile) {
  ASSERT_TRUE(Write(fd_.get(), 0, MakeBytes(2, 1000)));
  std::vector<std::byte> back(4096);
  EXPECT_EQ(Read(fd_.get(), 900, back).value(), 100u);
  EXPECT_EQ(Read(fd_.get(), 5000, back).value(), 0u);
}

TEST_P(DiskIoTest, TellsErrorsByTheirCode) {
  std::vector<std::byte> back(16);
  EXPECT_EQ(Read(-1, 0, back).error().code, Errc::kIo);
  const Fd read_only(::open((dir_.path() / "file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(Write(read_only.get(), 0, back).error().code, Errc::kIo);
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full);
  EXPECT_EQ(Write(full.get(), 0, back).error().code, Errc::kNoSpace);
}

TEST_P(DiskIoTest, FinishesAShortWrite) {
  // A file size limit in the middle makes the first write short and the second fail.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = before;
  limit.rlim_cur = 8192;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  auto written = Write(fd_.get(), 4096, MakeBytes(3, 3 * 4096));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(written);
  std::vector<std::byte> back(4096);
  EXPECT_EQ(Read(fd_.get(), 4096, back).value(), 4096u);
  EXPECT_EQ(back, MakeBytes(3, 4096));
}

TEST_P(DiskIoTest, TakesMoreThanItsDepthAtOnce) {
  constexpr int kOps = 2000;
  const auto bytes = MakeBytes(4, 4096);
  std::atomic<int> done{0};
  std::promise<void> all;
  for (int i = 0; i < kOps; ++i) {
    io_->Write(fd_.get(), static_cast<std::uint64_t>(i) * 4096, bytes, [&](Result<void> r) {
      EXPECT_TRUE(r);
      if (++done == kOps) all.set_value();
    });
  }
  all.get_future().get();
  std::vector<std::byte> back(4096);
  EXPECT_EQ(Read(fd_.get(), (kOps - 1) * 4096ull, back).value(), 4096u);
  EXPECT_EQ(back, bytes);
}

TEST_P(DiskIoTest, StopFinishesWhatCompletionsAskFor) {
  const auto bytes = MakeBytes(5, 4096);
  std::atomic<int> done{0};
  for (int i = 0; i < 20; ++i) {
    io_->Write(fd_.get(), 0, bytes, [&](Result<void>) {
      ++done;
      io_->Write(fd_.get(), 4096, bytes, [&](Result<void> r) { done += r ? 1 : 0; });
    });
  }
  io_->Stop();
  EXPECT_EQ(done, 40);
  EXPECT_EQ(Write(fd_.get(), 0, bytes).error().code, Errc::kCancelled);
}

TEST_P(DiskIoTest, DirectWritesAreSeenByBufferedReads) {
  const Fd direct(::open((dir_.path() / "file").c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
  if (!direct) GTEST_SKIP() << "O_DIRECT is refused here";
  constexpr std::size_t kSize = 1 << 20;
  ASSERT_EQ(::ftruncate(fd_.get(), kSize), 0);
  std::vector<std::byte> back(kSize);
  ASSERT_EQ(Read(fd_.get(), 0, back).value(), kSize);  // Now the page cache holds zeros.
  const std::unique_ptr<std::byte, decltype(&std::free)> aligned(
      static_cast<std::byte*>(std::aligned_alloc(4096, kSize)), &std::free);
  const auto bytes = MakeBytes(6, kSize);
  std::copy(bytes.begin(), bytes.end(), aligned.get());
  ASSERT_TRUE(Write(direct.get(), 0, {aligned.get(), kSize}));
  EXPECT_EQ(Read(fd_.get(), 0, back).value(), kSize);
  EXPECT_EQ(back, bytes);
  // Not aligned: refused as invalid, so that the caller falls back.
  EXPECT_EQ(Write(direct.get(), 1, {aligned.get() + 1, 100}).error().code, Errc::kInvalid);
}

TEST_P(DiskIoTest, ReadNowTakesOnlyWhatIsInMemory) {
  const auto bytes = MakeBytes(7, 1 << 20);
  ASSERT_TRUE(Write(fd_.get(), 0, bytes));
  std::vector<std::byte> back(bytes.size());
  EXPECT_TRUE(DiskIo::ReadNow(fd_.get(), 0, back));
  EXPECT_EQ(back, bytes);
  EXPECT_FALSE(DiskIo::ReadNow(fd_.get(), 100, back));  // Past the end.
}

INSTANTIATE_TEST_SUITE_P(Backends, DiskIoTest,
                         ::testing::Values(IoBackend::kUring, IoBackend::kThreads),
                         [](const auto& p) {
                           return p.param == IoBackend::kUring ? "Uring" : "Threads";
                         });

TEST(MakeDiskIoTest, AutoAlwaysGivesOne) {
  auto io = MakeDiskIo(IoBackend::kAuto);
  ASSERT_TRUE(io);
  EXPECT_TRUE((*io)->name() == "io_uring" || (*io)->name() == "threads");
}

}  // namespace
}  // namespace modelfs::index
