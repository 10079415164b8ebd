#include "fs/cli/command.h"

#include <system_error>

namespace modelfs::fs {

int CommandContext::Complain(int exit_code, std::string_view what) const {
  io.err << "modelfs " << name << ": " << Printable(std::string(what)) << '\n' << std::flush;
  return exit_code;
}

std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  std::string text = std::filesystem::absolute(path, error).lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace modelfs::fs
