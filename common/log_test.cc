#include "common/log.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "common/log_line.h"

namespace navit {
namespace {

LogRecord Record() {
  LogRecord record;
  record.time = absl::FromUnixMillis(1700000000123);
  record.level = LogLevel::WARNING;
  record.role = "trainer";
  record.worker = "t-0";
  record.job = "b16";
  record.rank = 3;
  record.step = 12;
  record.source = "run.cc:7";
  record.message = "a \"b\"\n\x01 \xff";
  return record;
}

TEST(LogTest, TextHasAFieldPerFact) {
  EXPECT_EQ(FormatLogRecord(Record(), LogFormat::kText),
            "time=2023-11-14T22:13:20.123Z level=warning role=trainer worker=t-0 job=b16 rank=3 "
            "step=12 src=run.cc:7 msg=\"a \\\"b\\\"\\n\\x01 \xff\"");
}

TEST(LogTest, JsonIsOneValidLine) {
  EXPECT_EQ(FormatLogRecord(Record(), LogFormat::kJson),
            "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"warning\",\"role\":\"trainer\","
            "\"worker\":\"t-0\",\"job\":\"b16\",\"rank\":3,\"step\":12,\"src\":\"run.cc:7\","
            "\"msg\":\"a \\\"b\\\"\\n\\u0001 ?\"}");
}

TEST(LogTest, BytesThatAreNoUtf8AreReplaced) {
  EXPECT_EQ(ValidUtf8("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(ValidUtf8("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80");
  EXPECT_EQ(ValidUtf8("cut \xe2\x82"), "cut ??");
  EXPECT_EQ(ValidUtf8("\xc0\xaf \xed\xa0\x80"), "?? ???");
}

TEST(LogTest, TheObserverSeesWhatTheThreadWorksOn) {
  std::vector<LogRecord> seen;
  SetLogSink([](absl::string_view) {});
  SetLogObserver([&](const LogRecord& record) { seen.push_back(record); });
  {
    LogScope outer("outer", 1);
    LogScope::SetStep(5);
    {
      LogScope inner("inner");
      NAVIT_LOG(INFO) << "one";
    }
    NAVIT_LOG(INFO) << "two";
    std::thread([] { NAVIT_LOG(INFO) << "three"; }).join();
  }
  NAVIT_LOG(INFO) << "four";
  SetLogObserver(nullptr);
  NAVIT_LOG(INFO) << "five";
  SetLogSink(nullptr);
  ASSERT_EQ(seen.size(), 4);
  EXPECT_EQ(seen[0].job, "inner");
  EXPECT_EQ(seen[0].rank, -1);
  EXPECT_EQ(seen[0].step, 0);
  EXPECT_EQ(seen[1].job, "outer");
  EXPECT_EQ(seen[1].rank, 1);
  EXPECT_EQ(seen[1].step, 5);
  EXPECT_EQ(seen[2].job, "");
  EXPECT_EQ(seen[3].job, "");
}

TEST(LogLineTest, CarriesTheRecordInBounds) {
  LogRecord record = Record();
  const v1::LogLine line = ToLogLine(record);
  EXPECT_EQ(line.job(), "b16");
  EXPECT_EQ(line.rank(), 3);
  EXPECT_EQ(line.step(), 12);
  EXPECT_EQ(line.level(), "warning");
  EXPECT_EQ(line.message(), "a \"b\"\n\x01 ?");
  EXPECT_NEAR(line.seconds(), 1700000000.123, 1e-6);
  record.message = std::string(1 << 20, 'x');
  EXPECT_EQ(ToLogLine(record).message().size(), 16 << 10);
}

}  // namespace
}  // namespace navit
