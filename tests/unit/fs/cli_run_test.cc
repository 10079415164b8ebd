// The command line in process: what it takes, what it says, and its exit codes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "fs/cli/cli.h"
#include "fs/control/control_server.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fs/fake_daemon_api.h"
#include "tests/unit/fs/fake_environment.h"

namespace modelfs::fs {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class RunTest : public testing::Test {
 protected:
  RunTest() {
    env_.Set("XDG_RUNTIME_DIR", temp_.path().string());
    env_.SetHome(temp_.path());
    env_.Set("AWS_EC2_METADATA_DISABLED", "true");
    // A user that no machine has, so that no real daemon of theirs is found.
    env_.SetUid(3'999'999'999u);
  }

  int Call(std::vector<std::string> words) {
    out_.str("");
    err_.str("");
    words.insert(words.begin(), "modelfs");
    std::vector<const char*> argv;
    for (const auto& word : words) argv.push_back(word.c_str());
    Io io{.out = out_, .err = err_, .terminal = terminal_, .columns = 100, .poll_interval = 1ms};
    return fs::Run(static_cast<int>(argv.size()), argv.data(), env_, io);
  }
  void Serve(test::FakeDaemonApi& api, const std::string& name = "a.sock") {
    auto server = ControlServer::Start({.socket_path = (temp_.path() / "modelfs" / name).string(),
                                        .api = &api,
                                        .peer_uid = nullptr});
    ASSERT_TRUE(server) << server.error().what;
    servers_.push_back(*std::move(server));
  }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

  test::TempDir temp_;
  test::FakeEnvironment env_;
  std::vector<std::unique_ptr<ControlServer>> servers_;
  std::ostringstream out_;
  std::ostringstream err_;
  bool terminal_ = false;
};

json Job(const std::string& state, std::uint64_t done, std::uint64_t total) {
  return {{"id", 1},
          {"kind", "warm"},
          {"state", state},
          {"bytes_done", done},
          {"bytes_total", total},
          {"files_done", 0},
          {"files_total", 2},
          {"error", ""},
          {"report", nullptr}};
}

TEST_F(RunTest, UsageErrorsAreTwoWithOneLineAndAHint) {
  const std::vector<std::vector<std::string>> calls = {{},
                                                       {"frobnicate"},
                                                       {"--frobnicate"},
                                                       {"mount"},
                                                       {"mount", "--frobnicate", "/mnt"},
                                                       {"mount", "/a", "/b"},
                                                       {"mount", "--source"},
                                                       {"umount"},
                                                       {"warm"},
                                                       {"status", "a", "b"},
                                                       {"worker"},
                                                       {"worker", "--broker-fd", "x"}};
  for (const auto& words : calls) {
    EXPECT_EQ(Call(words), kExitUsage) << testing::PrintToString(words);
    EXPECT_EQ(std::ranges::count(err(), '\n'), 2) << err();
    EXPECT_THAT(err(), HasSubstr("--help"));
    EXPECT_TRUE(err().starts_with("modelfs")) << err();
    EXPECT_EQ(out(), "");
  }
}

TEST_F(RunTest, ABadValueIsNamedWithItsFlag) {
  const std::vector<std::pair<std::string, std::string>> cases = {{"--chunk-size", "3MiB"},
                                                                  {"--chunk-size", "1 potato"},
                                                                  {"--memory", "0%"},
                                                                  {"--memory", "-5"},
                                                                  {"--cache-size", "12XB"},
                                                                  {"--listing-ttl", "soon"},
                                                                  {"--io", "fast"},
                                                                  {"--umask", "999"},
                                                                  {"--endpoint", "minio:9000"},
                                                                  {"--addressing", "x"},
                                                                  {"--uid", "root"},
                                                                  {"--http", "9810"},
                                                                  {"--log-level", "loud"},
                                                                  {"--promotion-warm", "x"},
                                                                  {"--read-timeout", "5"},
                                                                  {"--cache", ""}};
  for (const auto& [flag, value] : cases) {
    EXPECT_EQ(Call({"mount", "--source", "s3://b", flag, value, "/mnt"}), kExitUsage) << flag;
    EXPECT_THAT(err(), HasSubstr(flag));
    EXPECT_THAT(err(), HasSubstr(value));
  }
}

TEST_F(RunTest, WhatIsWrittenWrongIsUsageToo) {
  EXPECT_EQ(Call({"mount", "/mnt"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("--source"));
  EXPECT_EQ(Call({"mount", "--source", "s4://b", "/mnt"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("s4"));
  EXPECT_EQ(Call({"mount", "--source", "mlflow:ftp://m", "/mnt"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("ftp://m"));
  EXPECT_EQ(Call({"mount", "--endpoint", "http://m:1", "/mnt"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("--endpoint"));
  const auto file = temp_.Write("broken.toml", "cahce = 1\n").string();
  EXPECT_EQ(Call({"mount", "--config", file, "/mnt"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("broken.toml:1: unknown key 'cahce'"));
  EXPECT_EQ(Call({"verify", "--repair"}), kExitUsage);
}

TEST_F(RunTest, WhatCannotBeHadIsAFailure) {
  EXPECT_EQ(Call({"mount", "--source", "s3://b", "/mnt"}), kExitFailed);
  EXPECT_THAT(err(), HasSubstr("no credentials"));
  EXPECT_EQ(Call({"mount", "--config", "/nonexistent/m.toml", "/mnt"}), kExitFailed);
  EXPECT_THAT(err(), HasSubstr("/nonexistent/m.toml"));
}

TEST_F(RunTest, ANegativeNumberIsAValueAndNoFlag) {
  EXPECT_EQ(Call({"mount", "--source", "s3://b", "--memory", "-5", "/mnt"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("'-5'"));
}

TEST_F(RunTest, HelpAndVersionGoToStdoutAndAreNoErrors) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--help"},
                                                {"mount", "--help"},
                                                {"-h"},
                                                {"warm", "-h"},
                                                {"--version"},
                                                {"version"}}) {
    EXPECT_EQ(Call(words), kExitDone);
    EXPECT_NE(out(), "");
    EXPECT_EQ(err(), "");
  }
  Call({"--help"});
  EXPECT_THAT(out(), HasSubstr("mount"));
  EXPECT_THAT(out(), Not(HasSubstr("worker")));
  Call({"mount", "--help"});
  for (const char* flag : {"--source [NAME=]URI", "--cache DIR", "--endpoint URL", "--foreground",
                           "--read-timeout TIME", "MOUNTPOINT"}) {
    EXPECT_THAT(out(), HasSubstr(flag));
  }
}

TEST_F(RunTest, CommandsSayThatNoDaemonRuns) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"status"},
                                                {"status", "/m"},
                                                {"warm", "/m/x"},
                                                {"verify"},
                                                {"verify", "/m"}}) {
    EXPECT_EQ(Call(words), kExitFailed) << words.front();
    EXPECT_THAT(err(), HasSubstr("modelfs " + words.front() + ": "));
    EXPECT_THAT(err(), HasSubstr("daemon"));
    EXPECT_THAT(err(), HasSubstr(words.size() > 1 ? words[1] : ""));
  }
}

TEST_F(RunTest, StatusPrintsATableOrTheDaemonsJson) {
  test::FakeDaemonApi api({"/m"});
  Serve(api);
  EXPECT_EQ(Call({"status"}), kExitDone) << err();
  for (const char* text : {"/m", "models", "s3://models/prod", "700 MiB of 1.37 GiB (50%)",
                           "not listed yet", "healthy", "4 in flight", "84 MiB/s", "5m 18s"}) {
    EXPECT_THAT(out(), HasSubstr(text));
  }
  EXPECT_EQ(Call({"status", "--json", "/m/models"}), kExitDone) << err();
  EXPECT_EQ(json::parse(out()), api.Status());
  EXPECT_EQ(Call({"status", "/elsewhere"}), kExitFailed);
  EXPECT_THAT(err(), HasSubstr("/elsewhere"));
}

TEST_F(RunTest, StatusOfTwoDaemonsIsTwoLinesOfJson) {
  test::FakeDaemonApi first({"/m1"});
  test::FakeDaemonApi second({"/m2"});
  Serve(first, "1.sock");
  Serve(second, "2.sock");
  EXPECT_EQ(Call({"status", "--json"}), kExitDone);
  EXPECT_EQ(std::ranges::count(out(), '\n'), 2);
  EXPECT_EQ(json::parse(out().substr(0, out().find('\n')))["mounts"][0]["mountpoint"], "/m1");
}

TEST_F(RunTest, WarmEndsWhenTheJobDoes) {
  test::FakeDaemonApi api({"/m"});
  Serve(api);
  api.PlanJob({Job("running", 0, 0), Job("running", 50, 100), Job("done", 100, 100)});
  EXPECT_EQ(Call({"warm", "/m/a", "/m/b/../c/"}), kExitDone) << err();
  EXPECT_EQ(api.started(), std::vector<std::string>{"warm /m/a /m/c"});
  EXPECT_THAT(out(), HasSubstr("100%"));
  EXPECT_THAT(out(), Not(HasSubstr("\r")));
}

TEST_F(RunTest, WarmDrawsABarOnATerminal) {
  terminal_ = true;
  test::FakeDaemonApi api({"/m"});
  Serve(api);
  api.PlanJob({Job("running", 50, 100), Job("done", 100, 100)});
  EXPECT_EQ(Call({"warm", "/m"}), kExitDone) << err();
  EXPECT_THAT(out(), HasSubstr("\r["));
  EXPECT_THAT(out(), HasSubstr("#"));
  EXPECT_TRUE(out().ends_with("\n"));
}

TEST_F(RunTest, WarmFailsWithTheJob) {
  test::FakeDaemonApi api({"/m"});
  Serve(api);
  json failed = Job("failed", 50, 100);
  failed["error"] = "GET s3://b/a.bin: HTTP 404";
  api.PlanJob({failed});
  EXPECT_EQ(Call({"warm", "/m"}), kExitFailed);
  EXPECT_THAT(err(), HasSubstr("a.bin"));
  api.FailNext({Errc::kNotFound, "'/m/three' does not exist"});
  EXPECT_EQ(Call({"warm", "/m/three"}), kExitFailed);
  EXPECT_THAT(err(), HasSubstr("three"));
}

TEST_F(RunTest, WarmAsksEachPathsOwnDaemon) {
  test::FakeDaemonApi first({"/m1"});
  test::FakeDaemonApi second({"/m2"});
  Serve(first, "1.sock");
  Serve(second, "2.sock");
  EXPECT_EQ(Call({"warm", "/m1/a", "/m2/b", "/m1/c"}), kExitDone) << err();
  EXPECT_EQ(first.started(), std::vector<std::string>{"warm /m1/a /m1/c"});
  EXPECT_EQ(second.started(), std::vector<std::string>{"warm /m2/b"});
  EXPECT_EQ(Call({"warm", "/m1/a", "/m3"}), kExitFailed);
  EXPECT_EQ(first.started().size(), 1u);  // All paths are checked before anything starts.
}

json Verified(std::uint64_t bad) {
  json job = Job("done", 100, 100);
  job["report"] = {{"objects", 12},
                   {"chunks", 700},
                   {"bytes", 734'003'200},
                   {"bad_chunks", bad},
                   {"bad", json::array()}};
  if (bad > 0) job["report"]["bad"].push_back("s3://b/a.bin: chunk 3");
  return job;
}

TEST_F(RunTest, VerifyReportsWhatItFound) {
  test::FakeDaemonApi api({"/m"});
  Serve(api);
  api.PlanJob({Verified(0)});
  EXPECT_EQ(Call({"verify"}), kExitDone) << err();
  EXPECT_THAT(out(), HasSubstr("all good"));
  api.PlanJob({Verified(1)});
  EXPECT_EQ(Call({"verify", "/m/a"}), kExitFailed);
  EXPECT_THAT(out(), HasSubstr("a.bin"));
  EXPECT_THAT(err(), HasSubstr("modelfs warm"));
  EXPECT_EQ(api.started(), (std::vector<std::string>{"verify", "verify /m/a"}));
}

TEST_F(RunTest, RepairDownloadsAgainWhatWasDamaged) {
  test::FakeDaemonApi api({"/m"});
  Serve(api);
  api.PlanJob({Verified(1)});
  api.PlanJob({Job("done", 100, 100)});
  EXPECT_EQ(Call({"verify", "--repair", "/m/a"}), kExitDone) << err();
  EXPECT_EQ(api.started(), (std::vector<std::string>{"repair /m/a", "warm /m/a"}));
  api.PlanJob({Verified(0)});
  EXPECT_EQ(Call({"verify", "--repair", "/m/a"}), kExitDone);
  EXPECT_EQ(api.started().size(), 3u);
}

TEST_F(RunTest, DoctorNamesWhatIsWrongAndGoesOn) {
  const auto cache = (temp_.path() / "cache").string();
  EXPECT_EQ(Call({"doctor", "--cache", cache, "--source", "s3://b"}), kExitFailed);
  EXPECT_THAT(out(), HasSubstr("FAIL  credentials"));
  for (const char* subject : {"kernel", "fuse", "io_uring", "passthrough", "cache", "filesystem"}) {
    EXPECT_THAT(out(), HasSubstr(subject));
  }
  EXPECT_FALSE(std::filesystem::exists(cache)) << "doctor made something";
}

TEST_F(RunTest, DoctorAsksTheSource) {
  const auto cache = (temp_.path() / "cache").string();
  std::filesystem::create_directories(temp_.path() / "data");
  const std::string data = "dir:" + (temp_.path() / "data").string();
  Call({"doctor", "--cache", cache, "--source", data});
  EXPECT_THAT(out(), HasSubstr("answers"));
  EXPECT_EQ(Call({"doctor", "--cache", cache, "--source", data + "/nowhere"}), kExitFailed);
  EXPECT_THAT(out(), HasSubstr("nowhere"));
}

}  // namespace
}  // namespace modelfs::fs
