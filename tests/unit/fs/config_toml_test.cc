// The configuration file: what it may say, and how it is told what is wrong.

#include <gtest/gtest.h>

#include <string>

#include "fetch/base/size.h"
#include "fs/config/setting_keys.h"
#include "fs/config/toml_file.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

using namespace std::chrono_literals;

Result<Settings> Parse(std::string_view text) { return ParseToml(text, "m.toml", "/etc/modelfs"); }

/// The message for `text`, which must be refused as invalid.
std::string Complaint(std::string_view text) {
  const auto settings = Parse(text);
  if (settings) return "accepted";
  EXPECT_EQ(settings.error().code, Errc::kInvalid);
  return settings.error().what;
}

TEST(TomlFileTest, ReadsThePageOfTheDesign) {
  const auto settings = Parse(R"(
cache = "/var/cache/modelfs"
cache_size = "80%"
free_floor = "5%"
chunk_size = "1MiB"
memory = "25%"
http = ""
allow_other = false
[timeouts]
read = "5m"
listing_ttl = "60s"
alias_poll = "30s"
[promotion]
warm = "off"
[[source]]
uri = "mlflow:http://mlflow:5000"
models = ["set_fit_*"]
[[source]]
name = "wheels"
uri = "s3://bucket/wheels"
endpoint = "https://minio:9000"
)");
  ASSERT_TRUE(settings) << settings.error().what;
  EXPECT_EQ(settings->cache, "/var/cache/modelfs");
  EXPECT_EQ(settings->cache_size->value, 80u);
  EXPECT_EQ(settings->cache_size->unit, Amount::Unit::kPercent);
  EXPECT_EQ(settings->chunk_size_bytes, kMiB);
  EXPECT_EQ(settings->http, "");
  EXPECT_EQ(settings->allow_other, false);
  EXPECT_EQ(settings->read_timeout, 5min);
  EXPECT_EQ(settings->listing_ttl, 60s);
  EXPECT_EQ(settings->promotion_warm, "off");
  ASSERT_EQ(settings->sources.size(), 2u);
  EXPECT_EQ(settings->sources[0].models, std::vector<std::string>{"set_fit_*"});
  EXPECT_EQ(settings->sources[1].name, "wheels");
  EXPECT_EQ(settings->sources[1].endpoint, "https://minio:9000");
  EXPECT_EQ(settings->sources[1].where, "m.toml:18");
}

TEST(TomlFileTest, ReadsEveryKeyOfTheTables) {
  // One valid value per key: whoever adds a key adds it here, or this fails.
  const std::map<std::string_view, std::string> values = {{"cache", "'/c'"},
                                                          {"index", "'/i'"},
                                                          {"chunk_size", "2097152"},
                                                          {"memory", "'64MiB'"},
                                                          {"io", "'threads'"},
                                                          {"allow_other", "true"},
                                                          {"uid", "1000"},
                                                          {"gid", "'1001'"},
                                                          {"umask", "'022'"},
                                                          {"timeouts.read", "'0'"},
                                                          {"timeouts.listing_ttl", "'500ms'"},
                                                          {"log_level", "'debug'"},
                                                          {"cache_size", "'10GiB'"},
                                                          {"free_floor", "'1%'"},
                                                          {"bandwidth_limit", "'200MiB'"},
                                                          {"shared_cache", "'/s'"},
                                                          {"shared_cache_size", "'90%'"},
                                                          {"shared_segment_size", "'16MiB'"},
                                                          {"http", "'127.0.0.1:9810'"},
                                                          {"http_token_file", "'/token'"},
                                                          {"webhook_secret_file", "'/secret'"},
                                                          {"hold", "'/run/hold.sock'"},
                                                          {"signature", "'enforce'"},
                                                          {"signature_key", "'/key.pub'"},
                                                          {"signature_ca", "'/ca.pem'"},
                                                          {"resend", "'off'"},
                                                          {"passthrough", "'off'"},
                                                          {"timeouts.alias_poll", "'1h'"},
                                                          {"promotion.warm", "'full'"}};
  for (const auto& key : SettingKeys()) {
    ASSERT_TRUE(values.contains(key.key)) << key.key;
    const auto settings = Parse(std::string(key.key) + " = " + values.at(key.key));
    EXPECT_TRUE(settings) << settings.error().what;
  }
  const std::map<std::string_view, std::string> source_values = {
      {"endpoint", "'http://m:9000'"}, {"region", "'eu-west-1'"},   {"profile", "'p'"},
      {"anonymous", "true"},           {"addressing", "'virtual'"}, {"ca_bundle", "'/ca'"},
      {"auth_file", "'/auth'"},        {"token_file", "'/token'"}};
  for (const auto& key : SourceKeys()) {
    ASSERT_TRUE(source_values.contains(key.key)) << key.key;
    const auto settings = Parse("[[source]]\nuri = 's3://b'\n" + std::string(key.key) + " = " +
                                source_values.at(key.key));
    EXPECT_TRUE(settings) << settings.error().what;
  }
}

TEST(TomlFileTest, NamesLineAndKeyOfAnUnknownKey) {
  EXPECT_EQ(Complaint("\n\ncahce = '/x'\n"), "m.toml:3: unknown key 'cahce'");
  EXPECT_EQ(Complaint("[timeouts]\nlist = '1s'"), "m.toml:2: unknown key 'timeouts.list'");
  EXPECT_EQ(Complaint("[[source]]\nuri='s3://b'\nendpiont = 'x'"),
            "m.toml:3: unknown key 'endpiont'");
  EXPECT_EQ(Complaint("[other]\nx = 1"), "m.toml:1: unknown key 'other'");
}

TEST(TomlFileTest, NamesLineAndKeyOfABadValue) {
  EXPECT_TRUE(Complaint("\nchunk_size = '3MiB'").starts_with("m.toml:2: chunk_size: '3MiB'"));
  EXPECT_TRUE(Complaint("memory = '0%'").starts_with("m.toml:1: memory: '0%'"));
  EXPECT_TRUE(Complaint("memory = -5").starts_with("m.toml:1: memory: "));
  EXPECT_TRUE(Complaint("http = 'everywhere'").starts_with("m.toml:1: http: 'everywhere'"));
  EXPECT_TRUE(Complaint("promotion.warm = 'hot'").starts_with("m.toml:1: promotion.warm: 'hot'"));
  EXPECT_TRUE(Complaint("umask = '8'").starts_with("m.toml:1: umask: '8'"));
}

TEST(TomlFileTest, RefusesWhatIsNoAsciiOutsideOfQuotes) {
  for (const char* text : {"\xEF\xB3\xBF", "\xCA\xB6", "\xC3\xBC = 1", "cache = '/x' \xC2\xA0",
                           "cache = '''a'''\xFF", "cache = \"a\\\"b\"\xC3\xBC"}) {
    EXPECT_EQ(Complaint(text), "m.toml:1: a character that is no ASCII belongs into quotes")
        << text;
  }
  EXPECT_EQ(Complaint("\n# \xC3\xBC\n\xC3\xBC"),
            "m.toml:3: a character that is no ASCII belongs into quotes");
  for (const char* text :
       {"cache = '/\xC3\xBC'", "cache = \"/\xEF\xB3\xBF\"  # \xCA\xB6",
        "cache = \"\"\"\n/\xC3\xBC\\\"\xC3\xBC\"\"\"", "cache = '''\n/\xC3\xBC'''",
        "\xEF\xBB\xBF# A byte order mark.\ncache = '/x'"}) {
    EXPECT_TRUE(Parse(text)) << text;
  }
}

TEST(TomlFileTest, NamesTheTypeThatIsWanted) {
  EXPECT_EQ(Complaint("allow_other = 'yes'"), "m.toml:1: allow_other must be true or false");
  EXPECT_EQ(Complaint("cache = 1"), "m.toml:1: cache must be a string");
  EXPECT_EQ(Complaint("memory = true"), "m.toml:1: memory must be a string or an integer");
  EXPECT_EQ(Complaint("timeouts = 5"), "m.toml:1: timeouts is a section; write [timeouts]");
  EXPECT_EQ(Complaint("source = 's3://b'"), "m.toml:1: source is a list; write [[source]]");
  EXPECT_EQ(Complaint("source = [1]"), "m.toml:1: source is a list; write [[source]]");
  EXPECT_EQ(Complaint("[[source]]\nuri = 5"), "m.toml:2: uri must be a string");
  EXPECT_EQ(Complaint("[[source]]\nuri = 's3://b'\nmodels = [1]"),
            "m.toml:3: models must be a list of strings");
}

TEST(TomlFileTest, ASourceNeedsAUri) {
  EXPECT_EQ(Complaint("[[source]]\nname = 'x'"), "m.toml:1: this [[source]] has no uri");
}

TEST(TomlFileTest, NamesTheLineOfWhatIsNoToml) {
  EXPECT_TRUE(Complaint("cache = '/x'\ncache = [\n").starts_with("m.toml:"));
  EXPECT_TRUE(Complaint("a\n").starts_with("m.toml:1: "));
  EXPECT_EQ(Complaint("cache = [\n").find('\n'), std::string::npos);
}

TEST(TomlFileTest, TakesRelativePathsFromItsOwnFolder) {
  const auto settings =
      Parse("cache = 'c'\nindex='../i'\n[[source]]\nuri='s3://b'\nca_bundle='ca.pem'");
  ASSERT_TRUE(settings) << settings.error().what;
  EXPECT_EQ(settings->cache, "/etc/modelfs/c");
  EXPECT_EQ(settings->index, "/etc/i");
  EXPECT_EQ(settings->sources[0].ca_bundle, "/etc/modelfs/ca.pem");
}

TEST(TomlFileTest, ReadsAFileAndNamesOneThatCannotBeRead) {
  const test::TempDir temp;
  const auto file = temp.Write("a/m.toml", "cache = 'c'\n");
  ASSERT_TRUE(ReadTomlFile(file)) << ReadTomlFile(file).error().what;
  EXPECT_EQ(ReadTomlFile(file)->cache, (temp.path() / "a/c").string());
  const auto missing = ReadTomlFile(temp.path() / "missing.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::kNotFound);
  EXPECT_NE(missing.error().what.find("missing.toml"), std::string::npos);
  EXPECT_FALSE(ReadTomlFile(temp.path()));
}

}  // namespace
}  // namespace modelfs::fs
