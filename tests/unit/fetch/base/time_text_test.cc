#include "fetch/base/time_text.h"

#include <gtest/gtest.h>

#include <chrono>

namespace modelfs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

// 2013-05-24T00:00:00Z
const system_clock::time_point kMay24{seconds(1369353600)};

TEST(TimeText, ParsesIso8601) {
  EXPECT_EQ(ParseIso8601("2013-05-24T00:00:00Z"), kMay24);
  EXPECT_EQ(ParseIso8601("2013-05-24T00:00:00.250Z"), kMay24 + milliseconds(250));
  EXPECT_EQ(ParseIso8601("2013-05-24T00:00:00.123456789Z"),
            kMay24 + std::chrono::microseconds(123456));
  EXPECT_EQ(ParseIso8601("2013-05-24T02:00:00+02:00"), kMay24);
  EXPECT_EQ(ParseIso8601("2013-05-23T19:00:00-0500"), kMay24);
  EXPECT_EQ(ParseIso8601("1970-01-01T00:00:00Z"), system_clock::time_point{});
  EXPECT_EQ(ParseIso8601("2024-02-29T23:59:59Z"), system_clock::time_point(seconds(1709251199)));
}

TEST(TimeText, RefusesWhatIsNoTime) {
  for (const char* text :
       {"", "2013", "2013-05-24", "2013-05-24 00:00:00Z", "2013-13-01T00:00:00Z",
        "2013-02-29T00:00:00Z", "2013-05-24T24:00:00Z", "2013-05-24T00:60:00Z",
        "2013-05-24T00:00:00", "2013-05-24T00:00:00.Z", "2013-05-24T00:00:00Zx",
        "0000-00-00T00:00:00Z", "-013-05-24T00:00:00Z", "2013-05-24T00:00:00+"}) {
    EXPECT_EQ(ParseIso8601(text), std::nullopt) << text;
  }
}

TEST(TimeText, ReadsAndWritesHttpDates) {
  EXPECT_EQ(FormatHttpDate(kMay24), "Fri, 24 May 2013 00:00:00 GMT");
  EXPECT_EQ(ParseHttpDate("Fri, 24 May 2013 00:00:00 GMT"), kMay24);
  EXPECT_EQ(ParseHttpDate(FormatHttpDate(kMay24 + seconds(98765))), kMay24 + seconds(98765));
  for (const char* text : {"", "Fri, 24 May 2013 00:00:00", "Friday, 24-May-13 00:00:00 GMT",
                           "Fri, 24 Mai 2013 00:00:00 GMT", "Fri, 32 May 2013 00:00:00 GMT"}) {
    EXPECT_EQ(ParseHttpDate(text), std::nullopt) << text;
  }
}

TEST(TimeText, KeepsWithinWhatTheClockCanHold) {
  const auto last = ParseIso8601("2261-12-31T00:00:00Z");
  ASSERT_TRUE(last);
  EXPECT_GT(*last, kMay24);
  EXPECT_EQ(ParseIso8601("9999-12-31T23:59:59Z"), last);
  EXPECT_EQ(ParseIso8601("2262-04-12T00:00:00Z"), last);
  EXPECT_EQ(ParseHttpDate("Fri, 31 Dec 9999 23:59:59 GMT"), last);
  EXPECT_EQ(ParseIso8601("1899-12-31T23:59:59Z"), std::nullopt);
  EXPECT_TRUE(ParseIso8601("1900-01-01T00:00:00Z"));
}

TEST(TimeText, WritesAmzDates) {
  EXPECT_EQ(FormatAmzDate(kMay24), "20130524T000000Z");
  EXPECT_EQ(FormatAmzDate(kMay24 + seconds(86399) + milliseconds(999)), "20130524T235959Z");
}

}  // namespace
}  // namespace modelfs
