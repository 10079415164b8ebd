// Keys from programs and files, and the programs themselves.
#include "fetch/credentials/local_sources.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <string>

#include "fetch/base/program.h"
#include "tests/support/await.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(SplitCommand, SplitsAsAShellDoes) {
  EXPECT_THAT(*SplitCommand("/bin/x --a  b\t'c d' \"e \\\" f\" g\\ h ''"),
              ElementsAre("/bin/x", "--a", "b", "c d", "e \" f", "g h", ""));
  EXPECT_THAT(*SplitCommand("a'b'\"c\"d $HOME;x"), ElementsAre("abcd", "$HOME;x"));
  for (const char* bad : {"", "  ", "'open", "a \"b"}) EXPECT_FALSE(SplitCommand(bad)) << bad;
}

class ProgramTest : public testing::Test {
 protected:
  Result<std::string> Run(const std::string& script, const std::stop_token& stop = {}) {
    return RunProgram({.arguments = {"sh", "-c", script},
                       .environment = {"PATH=/usr/bin:/bin", "NAME=value"},
                       .limit = limit_,
                       .max_output_bytes = 1000},
                      stop);
  }
  std::chrono::milliseconds limit_{30'000};
};

TEST_F(ProgramTest, GivesItsOutput) {
  EXPECT_EQ(Run("echo $NAME; env | wc -l").value(), "value\n3\n");
}

TEST_F(ProgramTest, SaysHowItEnded) {
  EXPECT_EQ(Run("exit 3").error().code, Errc::kDenied);
  EXPECT_THAT(Run("exit 3").error().what, HasSubstr("status 3"));
  EXPECT_THAT(Run("kill -9 $$").error().what, HasSubstr("signal 9"));
  EXPECT_EQ(Run("yes").error().code, Errc::kCorrupt);
  const auto absent = RunProgram({.arguments = {"no-such-program"}, .environment = {}}, {});
  EXPECT_EQ(absent.error().code, Errc::kNotFound);
}

TEST_F(ProgramTest, EndsWithAllItStartedWhenItTakesTooLong) {
  limit_ = std::chrono::milliseconds(200);
  EXPECT_EQ(Run("cat /dev/zero | tail -c 1").error().code, Errc::kTransient);
  EXPECT_EQ(Run("exec >/dev/null; tail -f /dev/null").error().code, Errc::kTransient);
}

TEST_F(ProgramTest, EndsWhenItIsToldTo) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(Run("tail -f /dev/null", stop.get_token()).error().code, Errc::kCancelled);
}

class LocalSourcesTest : public testing::Test {
 protected:
  Result<fetch::TemporaryKeys> Fetch(fetch::CredentialSource& source) {
    Await<fetch::TemporaryKeys> keys;
    source.Fetch({}, keys.done());
    return keys.Wait();
  }
  fetch::CredentialSettings Process(std::string_view script) {
    const auto file = temp_.Write("my program", fmt::format("#!/bin/sh\n{}\n", script));
    EXPECT_EQ(::chmod(file.c_str(), 0755), 0);
    return {.where = "profile 'x' of /c",
            .command = fmt::format("'{}' --for me", file.string()),
            .environment = {"PATH=/usr/bin:/bin"}};
  }

  TempDir temp_;
  WorkerPool pool_{"keys", 1};
};

TEST_F(LocalSourcesTest, AProgramGivesKeys) {
  fetch::ProcessSource source(
      Process(R"(printf '{"Version":1,"AccessKeyId":"AK%s","SecretAccessKey":"S",)"
              R"("SessionToken":"T","Expiration":"2030-01-02T03:04:05Z"}' "$2")"),
      &pool_);
  const auto keys = Fetch(source);
  ASSERT_TRUE(keys) << keys.error().what;
  EXPECT_EQ(keys->keys, (fetch::Credentials{"AKme", "S", "T"}));
  EXPECT_TRUE(keys->expires);
}

TEST_F(LocalSourcesTest, WhatAProgramGetsWrongIsSaid) {
  const auto failure = [this](std::string_view script) {
    fetch::ProcessSource source(Process(script), &pool_);
    const auto keys = Fetch(source);
    EXPECT_FALSE(keys);
    EXPECT_THAT(keys.error().what, Not(HasSubstr("hush")));
    return keys.error();
  };
  EXPECT_EQ(failure("echo hush >&2; exit 2").code, Errc::kDenied);
  EXPECT_EQ(failure("echo hush").code, Errc::kCorrupt);
  EXPECT_THAT(failure(R"(echo '{"Version":2,"AccessKeyId":"A","SecretAccessKey":"hush"}')").what,
              HasSubstr("Version 1"));
  EXPECT_THAT(failure(R"(echo '{"Version":1,"AccessKeyId":"A"}')").what,
              HasSubstr("SecretAccessKey"));
}

TEST_F(LocalSourcesTest, AProfileIsReadAgain) {
  const auto file =
      temp_.Write("credentials", "[p]\naws_access_key_id=A\naws_secret_access_key=S\n");
  fetch::ProfileSource source({.where = "profile 'p'",
                               .profile = "p",
                               .credentials_file = file.string(),
                               .config_file = (temp_.path() / "absent").string()},
                              &pool_);
  EXPECT_EQ(Fetch(source)->keys.access_key_id, "A");
  temp_.Write("credentials",
              "[p]\naws_access_key_id=B\naws_secret_access_key=S\naws_session_token=T\n");
  EXPECT_EQ(Fetch(source)->keys, (fetch::Credentials{"B", "S", "T"}));
  temp_.Write("credentials", "[q]\n");
  EXPECT_EQ(Fetch(source).error().code, Errc::kDenied);
}

}  // namespace
}  // namespace modelfs::test
