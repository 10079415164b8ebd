// empty-fuse: a FUSE server that answers from memory, as a ceiling of what any mount can give. Its
// root holds `object` and the folder `many`, whose entries have sizes and no content.
#define FUSE_USE_VERSION 312
#include <fmt/format.h>
#include <fuse3/fuse_lowlevel.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/handle.h"
#include "tests/support/pattern.h"

namespace modelfs::bench {
namespace {

constexpr fuse_ino_t kObject = 2;
constexpr fuse_ino_t kMany = 3;
constexpr fuse_ino_t kFirstEntry = 4;
constexpr double kForever = 86400;
constexpr std::string_view kPrefix = "file";

struct Server {
  std::uint64_t entries = 0;
  std::vector<std::byte> object;
};

Server& Of(fuse_req_t request) { return *static_cast<Server*>(fuse_req_userdata(request)); }

struct stat Attributes(const Server& server, fuse_ino_t ino) {
  struct stat info{};
  info.st_ino = ino;
  const bool folder = ino == FUSE_ROOT_ID || ino == kMany;
  info.st_mode = folder ? S_IFDIR | 0555 : S_IFREG | 0444;
  info.st_nlink = 1;
  if (ino == kObject) info.st_size = static_cast<off_t>(server.object.size());
  if (ino >= kFirstEntry) info.st_size = static_cast<off_t>(ino * 1000);
  return info;
}

fuse_entry_param Entry(const Server& server, fuse_ino_t ino) {
  fuse_entry_param entry{};
  entry.ino = ino;
  entry.attr = Attributes(server, ino);
  entry.attr_timeout = kForever;
  entry.entry_timeout = kForever;
  return entry;
}

/// Node id of `name` in `parent`; 0: none.
fuse_ino_t Find(const Server& server, fuse_ino_t parent, std::string_view name) {
  if (parent == FUSE_ROOT_ID) return name == "object" ? kObject : name == "many" ? kMany : 0;
  if (parent != kMany || !name.starts_with(kPrefix)) return 0;
  std::uint64_t number = 0;
  const auto [end, code] =
      std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
  const bool whole = code == std::errc() && end == name.data() + name.size();
  return whole && number < server.entries ? kFirstEntry + number : 0;
}

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) noexcept {
  const fuse_ino_t ino = Find(Of(request), parent, name);
  if (ino == 0) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  const fuse_entry_param entry = Entry(Of(request), ino);
  fuse_reply_entry(request, &entry);
}

void GetAttr(fuse_req_t request, fuse_ino_t ino, fuse_file_info* /*file*/) noexcept {
  const struct stat info = Attributes(Of(request), ino);
  fuse_reply_attr(request, &info, kForever);
}

void ReadDirPlus(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                 fuse_file_info* /*file*/) noexcept {
  const Server& server = Of(request);
  const std::uint64_t count = ino == kMany ? server.entries : 2;
  std::vector<char> reply(size);
  std::size_t used = 0;
  for (auto i = static_cast<std::uint64_t>(offset); i < count; ++i) {
    const bool many = ino == kMany;
    const std::string name = many ? fmt::format("{}{:06}", kPrefix, i) : i == 0 ? "object" : "many";
    const fuse_entry_param entry = Entry(server, many ? kFirstEntry + i : kObject + i);
    const std::size_t more = fuse_add_direntry_plus(
        request, reply.data() + used, size - used, name.c_str(), &entry, static_cast<off_t>(i + 1));
    if (more > size - used) break;
    used += more;
  }
  fuse_reply_buf(request, reply.data(), used);
}

void ReadDir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
             fuse_file_info* /*file*/) noexcept {
  const Server& server = Of(request);
  const bool many = ino == kMany;
  const std::uint64_t count = many ? server.entries : 2;
  std::vector<char> reply(size);
  std::size_t used = 0;
  for (auto i = static_cast<std::uint64_t>(offset); i < count; ++i) {
    const std::string name = many ? fmt::format("{}{:06}", kPrefix, i) : i == 0 ? "object" : "many";
    const struct stat info = Attributes(server, many ? kFirstEntry + i : kObject + i);
    const std::size_t more = fuse_add_direntry(request, reply.data() + used, size - used,
                                               name.c_str(), &info, static_cast<off_t>(i + 1));
    if (more > size - used) break;
    used += more;
  }
  fuse_reply_buf(request, reply.data(), used);
}

void Open(fuse_req_t request, fuse_ino_t ino, fuse_file_info* file) noexcept {
  if (ino != kObject) {
    fuse_reply_err(request, EACCES);
    return;
  }
  file->keep_cache = 1;
  fuse_reply_open(request, file);
}

void Read(fuse_req_t request, fuse_ino_t /*ino*/, size_t size, off_t offset,
          fuse_file_info* /*file*/) noexcept {
  const std::vector<std::byte>& object = Of(request).object;
  const std::size_t begin = std::min(static_cast<std::size_t>(offset), object.size());
  const std::size_t n = std::min(size, object.size() - begin);
  fuse_reply_buf(request, reinterpret_cast<const char*>(object.data()) + begin, n);
}

constexpr fuse_lowlevel_ops kOperations = [] {
  fuse_lowlevel_ops operations{};
  operations.lookup = Lookup;
  operations.getattr = GetAttr;
  operations.open = Open;
  operations.read = Read;
  operations.readdir = ReadDir;
  operations.readdirplus = ReadDirPlus;
  return operations;
}();

int Serve(Server& server, const std::string& mount_point) {
  std::string program = "empty-fuse";
  std::string flag = "-oro,fsname=empty-fuse";
  char* words[] = {program.data(), flag.data()};
  fuse_args arguments = FUSE_ARGS_INIT(2, words);
  const Handle<fuse_session, fuse_session_destroy> session(
      fuse_session_new(&arguments, &kOperations, sizeof kOperations, &server));
  fuse_opt_free_args(&arguments);
  if (!session || fuse_set_signal_handlers(session.get()) != 0) return 1;
  if (fuse_session_mount(session.get(), mount_point.c_str()) != 0) return 1;
  fuse_loop_config* const config = fuse_loop_cfg_create();
  const int result = fuse_session_loop_mt(session.get(), config);
  fuse_loop_cfg_destroy(config);
  fuse_session_unmount(session.get());
  fuse_remove_signal_handlers(session.get());
  return result < 0 ? 1 : 0;
}

int Main(int argc, char** argv) {
  CLI::App app("A FUSE mount that answers from memory; serves until SIGTERM");
  std::string mount_point;
  Server server;
  std::uint64_t size = 0;
  std::uint64_t seed = 1;
  app.add_option("mount_point", mount_point)->required();
  app.add_option("--entries", server.entries, "Of the folder `many`");
  app.add_option("--size", size, "Of `object`, bytes")->transform(CLI::AsSizeValue(false));
  app.add_option("--seed", seed, "Of its bytes");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  server.object.resize(size);
  test::PatternBytes(seed, 0, server.object);
  return Serve(server, mount_point);
}

}  // namespace
}  // namespace modelfs::bench

int main(int argc, char** argv) { return modelfs::bench::Main(argc, argv); }
