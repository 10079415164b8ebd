#pragma once

#include <string>
#include <string_view>

namespace modelfs::fs {

/// Makes spdlog's default logger write lines to stderr that name `process` and its id:
/// `2026-01-31T12:00:00.123+00:00 info worker[42] mount.ready mountpoint=/m`. Control characters in
/// a message are escaped.
/// `level`: "trace", "debug", "info", "warn", "error"; others mean "info".
void SetUpLog(std::string_view process, const std::string& level);
/// Of the log that is set up; an unknown word changes nothing. Threads: any.
void SetLogLevel(const std::string& level);

/// LogPath(control_socket) if this process's stderr goes there, else "".
std::string LogPathInUse(const std::string& control_socket);

/// Where a daemon in the background writes its log: beside its control socket.
std::string LogPath(const std::string& control_socket);

}  // namespace modelfs::fs
