#include "server/store/migrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "server/store/sqlite.h"

namespace navit {
namespace {

using ::testing::HasSubstr;

const std::vector<Migration>& ToThree() {
  static const auto* migrations = new std::vector<Migration>{
      {1, "ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 7"}, {2, "UPDATE t SET b = a + 1"}};
  return *migrations;
}

class MigrateTest : public ::testing::Test {
 protected:
  MigrateTest() {
    const char* base = std::getenv("TEST_TMPDIR");
    // The name is quoted where it stands in a statement.
    std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/it's-XXXXXX";
    path_ = std::string(mkdtemp(pattern.data())) + "/state.db";
    database_ = *Database::Open(path_, /*must_exist=*/false);
    EXPECT_TRUE(database_->Text("PRAGMA journal_mode=WAL").ok());
    EXPECT_TRUE(
        database_->Run("CREATE TABLE t(a INTEGER); INSERT INTO t VALUES(41); PRAGMA user_version=1")
            .ok());
  }
  int64_t Integer(const std::string& sql) { return database_->Integer(sql).value_or(-1); }

  std::string path_;
  std::unique_ptr<Database> database_;
};

TEST_F(MigrateTest, EveryStepIsTakenAndTheCopyIsWhatWas) {
  ASSERT_TRUE(MigrateStore(path_, database_.get(), ToThree(), 3).ok());
  EXPECT_EQ(Integer("PRAGMA user_version"), 3);
  EXPECT_EQ(Integer("SELECT b FROM t"), 42);
  const auto copy = Database::Open(path_ + "-schema-1", /*must_exist=*/true);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ((*copy)->Integer("PRAGMA user_version").value_or(-1), 1);
  // What lay in the log alone is in the copy.
  EXPECT_EQ((*copy)->Integer("SELECT a FROM t").value_or(-1), 41);
  EXPECT_FALSE((*copy)->Integer("SELECT b FROM t").ok());
}

TEST_F(MigrateTest, AFileOfThisVersionIsLeftAlone) {
  ASSERT_TRUE(MigrateStore(path_, database_.get(), ToThree(), 1).ok());
  EXPECT_FALSE(std::filesystem::exists(path_ + "-schema-1"));
}

TEST_F(MigrateTest, AStepThatFailsLeavesTheVersionBefore) {
  const std::vector<Migration> migrations = {ToThree()[0], {2, "UPDATE t SET nothing = 1"}};
  EXPECT_FALSE(MigrateStore(path_, database_.get(), migrations, 3).ok());
  database_ = *Database::Open(path_, /*must_exist=*/true);
  EXPECT_EQ(Integer("PRAGMA user_version"), 2);
  ASSERT_TRUE(MigrateStore(path_, database_.get(), ToThree(), 3).ok());
  EXPECT_EQ(Integer("SELECT b FROM t"), 42);
}

TEST_F(MigrateTest, WithoutACopyNothingIsChanged) {
  std::filesystem::create_directories(path_ + "-schema-1/in-the-way");
  EXPECT_FALSE(MigrateStore(path_, database_.get(), ToThree(), 3).ok());
  EXPECT_EQ(Integer("PRAGMA user_version"), 1);
}

TEST_F(MigrateTest, AVersionThatNothingLeadsToIsNamed) {
  const absl::Status status = MigrateStore(path_, database_.get(), ToThree(), 4);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("nothing leads from 3 to 4"));
}

TEST(StoreMigrationsTest, LeadFromTheFirstSchemaWithoutAGap) {
  int version = 1;
  for (const Migration& migration : StoreMigrations()) EXPECT_EQ(migration.from, version++);
}

}  // namespace
}  // namespace navit
