// modelfs-csi: the CSI driver of a node. README.md beside this file.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "fetch/base/program.h"
#include "fetch/base/thread.h"
#include "fs/config.h"
#include "fs/csi/csi_metrics.h"
#include "fs/csi/identity_service.h"
#include "fs/csi/modelfs_mounts.h"
#include "fs/csi/node_service.h"
#include "fs/csi/test_controller.h"
#include "fs/csi/volumes.h"
#include "fs/daemon/log.h"
#include "fs/http/http_server.h"

namespace modelfs::fs {
namespace {

constexpr std::chrono::seconds kRecover{60};
constexpr std::chrono::seconds kLastCalls{5};
constexpr std::size_t kLongestSocket = 107;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

struct Options {
  std::string endpoint;
  std::string node_id;
  std::string name = "modelfs.csi.modelfs.dev";
  std::string state = "/var/lib/kubelet/plugins/modelfs.csi.modelfs.dev/state";
  std::string cache = "/var/cache/modelfs-csi";
  std::string program;
  std::string launch;
  std::vector<std::string> mount_arguments;
  std::string http;
  std::string http_token_file;
  std::string log_level = "info";
  bool test_controller = false;
};

void Define(CLI::App& app, Options& options) {
  app.add_option("--endpoint", options.endpoint, "Where the kubelet calls: unix:///PATH")
      ->required();
  app.add_option("--node-id", options.node_id, "The node's name")->required();
  app.add_option("--driver-name", options.name, "As in the CSIDriver [" + options.name + "]");
  app.add_option("--state", options.state,
                 "What is remembered, and the mounts [" + options.state + "]");
  app.add_option("--cache", options.cache,
                 "The caches, a folder for each principal [" + options.cache + "]");
  app.add_option("--modelfs", options.program, "The program [modelfs beside this one]");
  app.add_option("--launch", options.launch,
                 "Words before it, so that daemons outlive this container, e.g. 'nsenter -t 1 -m "
                 "-p systemd-run --scope --quiet'");
  app.add_option("--mount-argument", options.mount_arguments,
                 "For each 'modelfs mount', e.g. --cache-size=100GiB; may be repeated");
  app.add_option("--http", options.http, "ADDR:PORT of /healthz and /metrics");
  app.add_option("--http-token-file", options.http_token_file,
                 "The bearer token that /metrics asks for off loopback");
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn or error [info]");
  app.add_flag("--test-controller", options.test_controller)->group("");
}

/// The path of "unix:///PATH" or "unix:PATH"; also makes room for the socket.
Result<std::string> SocketOf(const std::string& endpoint) {
  std::string path = endpoint;
  if (path.starts_with("unix://")) {
    path.erase(0, 7);
  } else if (path.starts_with("unix:")) {
    path.erase(0, 5);
  }
  if (!path.starts_with('/')) {
    return Fail(Errc::kInvalid,
                fmt::format("--endpoint {}: must be unix:///ABSOLUTE/PATH", endpoint));
  }
  if (path.size() > kLongestSocket) {
    return Fail(Errc::kInvalid, fmt::format("--endpoint {}: a socket's path has {} bytes at most",
                                            endpoint, kLongestSocket));
  }
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) {
      return Fail(Errc::kInvalid, fmt::format("--endpoint {}: is there and no socket", endpoint));
    }
    ::unlink(path.c_str());  // Of a driver before.
  }
  return path;
}

/// What `modelfs mount` gets of our environment: how to reach the world, and no identity.
std::vector<std::string> Proxies(const Environment& env) {
  std::vector<std::string> kept;
  for (const char* name : {"https_proxy", "http_proxy", "no_proxy", "HTTPS_PROXY", "HTTP_PROXY",
                           "NO_PROXY", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const auto value = env.Get(name)) kept.push_back(fmt::format("{}={}", name, *value));
  }
  return kept;
}

Result<std::unique_ptr<HttpServer>> StartHttp(const Options& options, const Volumes& volumes,
                                              const CallLog& calls) {
  if (options.http.empty()) return nullptr;
  const auto text = [](std::string body) {
    return HttpAnswer{.body = std::move(body), .content_type = "text/plain; version=0.0.4"};
  };
  return HttpServer::Start(
      {.address = options.http,
       .token_file = options.http_token_file,
       .routes = {{.method = "GET",
                   .path = "/healthz",
                   .access = HttpAccess::kOpen,
                   .serve = [text](const HttpRequest&) { return text("ok\n"); }},
                  {.method = "GET", .path = "/metrics", .serve = [&, text](const HttpRequest&) {
                     return text(CsiMetricsPage(volumes.counts(), calls.table()));
                   }}}});
}

/// Returns when SIGTERM or SIGINT came. Mounts stay.
Result<void> Serve(const Options& options) {
  auto socket = SocketOf(options.endpoint);
  if (!socket) return std::unexpected(std::move(socket.error()));
  std::vector<std::string> launch;
  if (!options.launch.empty()) {
    auto words = SplitCommand(options.launch);
    if (!words) return std::unexpected(std::move(words.error()));
    launch = *std::move(words);
  }
  const VolumeFiles files(options.state);
  if (auto made = files.Prepare(); !made) return made;
  ModelfsMounts mounts({.program = options.program, .launch = std::move(launch)});
  Volumes volumes({.cache_root = options.cache,
                   .mount_arguments = options.mount_arguments,
                   .environment = Proxies(ProcessEnvironment())},
                  files, mounts);
  CallLog calls;
  const auto http = StartHttp(options, volumes, calls);
  if (!http) return std::unexpected(http.error());
  IdentityService identity({.name = options.name, .controller = options.test_controller});
  NodeService node({.node_id = options.node_id, .volumes = &volumes, .calls = &calls});
  TestController controller;

  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + *socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&identity);
  builder.RegisterService(&node);
  if (options.test_controller) builder.RegisterService(&controller);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) return Fail(Errc::kIo, fmt::format("listen at {}: failed", *socket));
  spdlog::info("csi.ready endpoint={} node={} driver={} version={}", *socket, options.node_id,
               options.name, MODELFS_VERSION);

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  const timespec pause{.tv_sec = kRecover.count(), .tv_nsec = 0};
  // What a driver before us has left half done; and later what could not be taken back then.
  do {
    volumes.Recover();
  } while (::sigtimedwait(&ends, nullptr, &pause) < 0);
  spdlog::info("csi.ending");
  server->Shutdown(std::chrono::system_clock::now() + kLastCalls);
  return {};
}

}  // namespace
}  // namespace modelfs::fs

int main(int argc, char** argv) {
  using namespace modelfs;  // NOLINT(google-build-using-namespace)
  // A core would hold what pods know; see modelfs_main.cc.
  constexpr rlimit kNone{.rlim_cur = 1, .rlim_max = 1};
  static_cast<void>(::setrlimit(RLIMIT_CORE, &kNone));
  sigset_t waited;
  sigemptyset(&waited);
  for (const int signal : {SIGTERM, SIGINT, SIGPIPE}) sigaddset(&waited, signal);
  ::pthread_sigmask(SIG_BLOCK, &waited, nullptr);  // Before gRPC has threads: they inherit it.
  ::umask(077);

  fs::Options options;
  std::error_code error;
  options.program =
      std::filesystem::read_symlink("/proc/self/exe", error).replace_filename("modelfs").string();
  CLI::App app("modelfs-csi: mounts models for the pods of this node.", "modelfs-csi");
  app.set_help_flag("-h,--help", "Print this help");
  app.set_version_flag("--version", "modelfs-csi " MODELFS_VERSION, "Print the version");
  fs::Define(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {
    return app.exit(request);
  } catch (const CLI::ParseError& wrong) {
    std::cerr << "modelfs-csi: " << wrong.what() << "\nTry 'modelfs-csi --help'.\n";
    return fs::kExitUsage;
  }
  fs::SetUpLog("csi", options.log_level);
  const auto served = fs::Serve(options);
  if (served) return 0;
  std::cerr << "modelfs-csi: " << served.error().what << "\n";
  return served.error().code == Errc::kInvalid ? fs::kExitUsage : fs::kExitFailed;
}
