#include "fs/daemon/log.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iterator>
#include <memory>
#include <utility>

namespace modelfs::fs {
namespace {

/// The text of a message with its control characters escaped: names come from servers, and none of
/// them may begin a line of its own or speak to a terminal.
class OneLine final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
              spdlog::memory_buf_t& out) override {
    for (const char c : message.payload) {
      if (const auto byte = static_cast<unsigned char>(c); byte < 0x20 || byte == 0x7F) {
        fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
      } else {
        out.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<OneLine>();
  }
};

}  // namespace

void SetUpLog(std::string_view process, const std::string& level) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("modelfs", std::move(sink));
  const auto known = spdlog::level::from_str(level);
  logger->set_level(known == spdlog::level::off && level != "off" ? spdlog::level::info : known);
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<OneLine>('*');
  formatter->set_pattern(fmt::format("%Y-%m-%dT%H:%M:%S.%e%z %l {}[%P] %*", process));
  logger->set_formatter(std::move(formatter));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void SetLogLevel(const std::string& level) {
  const auto known = spdlog::level::from_str(level);
  if (known != spdlog::level::off || level == "off") spdlog::set_level(known);
}

std::string LogPathInUse(const std::string& control_socket) {
  std::string path = LogPath(control_socket);
  struct stat ours;
  struct stat file;
  const bool same = ::fstat(STDERR_FILENO, &ours) == 0 && ::stat(path.c_str(), &file) == 0 &&
                    ours.st_dev == file.st_dev && ours.st_ino == file.st_ino;
  return same ? path : "";
}

std::string LogPath(const std::string& control_socket) {
  constexpr std::string_view kSuffix = ".sock";
  std::string path = control_socket;
  if (path.ends_with(kSuffix)) path.resize(path.size() - kSuffix.size());
  return path + ".log";
}

}  // namespace modelfs::fs
