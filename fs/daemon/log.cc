#include "fs/daemon/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

namespace modelfs::fs {

void SetUpLog(std::string_view process, const std::string& level) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("modelfs", std::move(sink));
  const auto known = spdlog::level::from_str(level);
  logger->set_level(known == spdlog::level::off && level != "off" ? spdlog::level::info : known);
  logger->set_pattern(fmt::format("%Y-%m-%dT%H:%M:%S.%e%z %l {}[%P] %v", process));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
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
