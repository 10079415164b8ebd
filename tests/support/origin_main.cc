// modelfs-origin: the embedded origin as a program. tests/support/README.md describes it.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/embedded_origin.h"
#include "tests/support/origin/control_service.h"

namespace modelfs::test {
namespace {

struct Flags {
  EmbeddedOrigin::Options origin;
  std::string certificate, private_key, keys, port_file;
  std::string latency = "0", connection_rate = "0", total_rate = "0";
};

Result<std::string> ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(Errc::kIo, "cannot read " + path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void Declare(CLI::App& app, Flags& flags) {
  EmbeddedOrigin::Options& o = flags.origin;
  app.add_option("--root", o.root, "Directory whose folders are the buckets; none: in memory");
  app.add_option("--keys", flags.keys, "JSON list of further objects, also of hostile names");
  app.add_option("--address", o.address, "Address to listen on")->capture_default_str();
  app.add_option("--port", o.port, "Port; 0 picks a free one")->capture_default_str();
  app.add_option("--port-file", flags.port_file, "File to write the port number to");
  app.add_option("--access-key", o.access_key, "Demand signatures of this key");
  app.add_option("--secret-key", o.secret_key, "Its secret");
  app.add_option("--session-token", o.session_token, "Its session token");
  app.add_option("--region", o.region, "Region that signatures must name")->capture_default_str();
  app.add_option("--tls-cert", flags.certificate, "PEM file; with --tls-key: https");
  app.add_option("--tls-key", flags.private_key, "PEM file");
  app.add_option("--virtual-domain", o.virtual_domain, "Serve BUCKET.DOMAIN too");
  app.add_option("--page-items", o.page_items, "Most items of a listing page")
      ->capture_default_str();
  app.add_option("--latency", flags.latency, "Before each response: 20ms, 1s")
      ->capture_default_str();
  app.add_option("--connection-rate", flags.connection_rate,
                 "Of each connection: 85MB/s, 100MiB/s; 0 for none")
      ->capture_default_str();
  app.add_option("--total-rate", flags.total_rate, "Of all together: 1Gbit/s; 0 for none")
      ->capture_default_str();
}

Result<std::unique_ptr<EmbeddedOrigin>> StartOrigin(Flags& flags) {
  const auto latency = ParseDuration(flags.latency);
  if (!latency) return std::unexpected(latency.error());
  const auto connection_rate = ParseRate(flags.connection_rate);
  if (!connection_rate) return std::unexpected(connection_rate.error());
  const auto total_rate = ParseRate(flags.total_rate);
  if (!total_rate) return std::unexpected(total_rate.error());
  flags.origin.link = {*latency, *connection_rate, *total_rate};
  for (const auto& [path, text] : {std::pair(&flags.certificate, &flags.origin.certificate_pem),
                                   std::pair(&flags.private_key, &flags.origin.private_key_pem)}) {
    if (path->empty()) continue;
    auto pem = ReadText(*path);
    if (!pem) return std::unexpected(pem.error());
    *text = *std::move(pem);
  }
  auto origin = EmbeddedOrigin::Start(flags.origin);
  if (!origin || flags.keys.empty()) return origin;
  const auto keys = ReadText(flags.keys);
  if (!keys) return std::unexpected(keys.error());
  const auto put = PutObjects(nlohmann::json::parse(*keys, nullptr, false), (*origin)->objects());
  if (!put) return std::unexpected(put.error());
  return origin;
}

int Main(int argc, char** argv) {
  CLI::App app("An S3-compatible origin over a directory, for tests and demonstrations");
  Flags flags;
  Declare(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  // Before the threads start, so that they inherit it.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const auto origin = StartOrigin(flags);
  if (!origin) {
    std::fprintf(stderr, "modelfs-origin: %s\n", origin.error().what.c_str());
    return origin.error().code == Errc::kInvalid ? 2 : 1;
  }
  if (!flags.port_file.empty()) std::ofstream(flags.port_file) << (*origin)->port() << '\n';
  std::printf("listening %s\n", (*origin)->Url().c_str());
  std::fflush(stdout);
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  return 0;
}

}  // namespace
}  // namespace modelfs::test

int main(int argc, char** argv) { return modelfs::test::Main(argc, argv); }
