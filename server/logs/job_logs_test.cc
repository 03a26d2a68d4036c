#include "server/logs/job_logs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/files.h"

namespace navit {
namespace {

class JobLogsTest : public testing::Test {
 protected:
  JobLogsTest() : folder_(absl::StrCat(testing::TempDir(), "/", Name())) {
    EXPECT_TRUE(RemoveAll(folder_).ok());
    Reopen();
  }
  static std::string Name() {
    return testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  void Reopen(uint64_t max_bytes = 1 << 20) {
    logs_ = nullptr;
    auto logs = JobLogs::Open(folder_, max_bytes);
    ASSERT_TRUE(logs.ok()) << logs.status();
    logs_ = *std::move(logs);
  }
  static v1::LogLine Line(uint64_t number, const std::string& message,
                          const std::string& worker = "w") {
    v1::LogLine line;
    line.set_job("job");
    line.set_worker(worker);
    line.set_incarnation(7);
    line.set_number(number);
    line.set_message(message);
    return line;
  }
  void Write(uint64_t number, const std::string& message, const std::string& worker = "w") {
    const absl::Status status = logs_->Append(Line(number, message, worker));
    ASSERT_TRUE(status.ok()) << status;
  }
  // Messages behind `cursor`, read in pieces of `piece` bytes.
  std::string Rest(JobLogs::Cursor* cursor, uint64_t piece = 1) {
    std::string all;
    while (true) {
      const auto lines = logs_->Read("job", piece, cursor);
      EXPECT_TRUE(lines.ok()) << lines.status();
      if (!lines.ok() || lines->empty()) return all;
      for (const v1::LogLine& line : *lines) absl::StrAppend(&all, line.message(), " ");
    }
  }
  uint64_t BytesOnDisk() {
    uint64_t bytes = 0;
    const auto names = ListFolder(folder_ + "/job");
    EXPECT_TRUE(names.ok()) << names.status();
    for (const std::string& name : names.value()) {
      struct stat info;
      EXPECT_EQ(stat(absl::StrCat(folder_, "/job/", name).c_str(), &info), 0);
      bytes += static_cast<uint64_t>(info.st_size);
    }
    return bytes;
  }

  const std::string folder_;
  std::unique_ptr<JobLogs> logs_;
};

TEST_F(JobLogsTest, LinesComeBackInTheirOrderAndAReaderGoesOnWhereItStood) {
  Write(1, "a");
  Write(2, "b");
  JobLogs::Cursor cursor;
  EXPECT_EQ(Rest(&cursor), "a b ");
  EXPECT_EQ(Rest(&cursor), "");
  Write(3, "c");
  EXPECT_EQ(Rest(&cursor), "c ");
  EXPECT_EQ(logs_->Newest("job"), 3);
  EXPECT_EQ(logs_->Newest("other"), 0);
}

TEST_F(JobLogsTest, AfterARestartSequenceNumbersGoOn) {
  Write(1, "a");
  Write(2, "b");
  Reopen();
  Write(3, "c");
  JobLogs::Cursor cursor;
  cursor.sequence = 1;
  EXPECT_EQ(Rest(&cursor), "b c ");
  EXPECT_EQ(cursor.sequence, 3);
}

TEST_F(JobLogsTest, ALineThatIsSentTwiceIsKeptOnceAlsoAfterARestart) {
  Write(1, "a");
  Write(1, "a");
  Write(2, "b", "other");
  Reopen();
  Write(1, "a");
  Write(2, "b");
  JobLogs::Cursor cursor;
  EXPECT_EQ(Rest(&cursor), "a b b ");
}

TEST_F(JobLogsTest, BytesAreBoundedAndTheNewestLinesStay) {
  Reopen(16000);
  for (uint64_t i = 1; i <= 2000; ++i) Write(i, absl::StrCat("message-", i));
  EXPECT_LE(BytesOnDisk(), 16000);
  EXPECT_GT(BytesOnDisk(), 10000);
  JobLogs::Cursor cursor;
  const std::string rest = Rest(&cursor, 500);
  EXPECT_EQ(rest.find("message-1 "), std::string::npos);
  EXPECT_NE(rest.find("message-1999 message-2000 "), std::string::npos);
  EXPECT_EQ(cursor.sequence, 2000);
}

TEST_F(JobLogsTest, AReaderOvertakenByTheBoundGoesOnWithTheOldestThatIsLeft) {
  Reopen(16000);
  for (uint64_t i = 1; i <= 10; ++i) Write(i, "old");
  JobLogs::Cursor cursor;
  ASSERT_TRUE(logs_->Read("job", 1, &cursor).ok());
  for (uint64_t i = 11; i <= 2000; ++i) Write(i, absl::StrCat("message-", i));
  const std::string rest = Rest(&cursor, 500);
  EXPECT_EQ(rest.find("old"), std::string::npos);
  EXPECT_NE(rest.find("message-2000 "), std::string::npos);
}

TEST_F(JobLogsTest, ACutFileEndsAtItsLastWholeLineAndIsWrittenOn) {
  Write(1, "a");
  Write(2, "b");
  const std::string path = folder_ + "/job/0000000000000001.log";
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  ASSERT_EQ(truncate(path.c_str(), info.st_size - 1), 0);
  Reopen();
  Write(3, "c");
  JobLogs::Cursor cursor;
  EXPECT_EQ(Rest(&cursor), "a c ");
}

TEST_F(JobLogsTest, LogsGoWithTheirJob) {
  Write(1, "a");
  ASSERT_TRUE(logs_->Keep({"job"}).ok());
  EXPECT_EQ(logs_->Newest("job"), 1);
  ASSERT_TRUE(logs_->Keep({}).ok());
  EXPECT_EQ(logs_->Newest("job"), 0);
  EXPECT_FALSE(FileExists(folder_ + "/job"));
  // A later job of the name begins anew.
  Write(2, "b");
  JobLogs::Cursor cursor;
  EXPECT_EQ(Rest(&cursor), "b ");
}

}  // namespace
}  // namespace navit
