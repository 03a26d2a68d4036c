#include "server/store/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "server/store/test_events.h"

namespace {
// Set by a test: the next syncs fail with this errno.
std::atomic<int> fail_sync_with{0};
// Set by a test: writes to files fail with this errno.
std::atomic<int> fail_write_with{0};
}  // namespace

// SQLite's own calls come here, because the program's symbols stand before those of libc.
extern "C" int fdatasync(int fd) {
  if (fail_sync_with != 0) {
    errno = fail_sync_with;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}
extern "C" ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  if (fail_write_with != 0) {
    errno = fail_write_with;
    return -1;
  }
  return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

namespace navit {
namespace {

using ::testing::HasSubstr;

std::string ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class SqliteStoreTest : public ::testing::Test {
 protected:
  SqliteStoreTest() {
    const char* base = std::getenv("TEST_TMPDIR");
    std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/store-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/state.db";
  }
  ~SqliteStoreTest() override {
    fail_sync_with = 0;
    fail_write_with = 0;
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  absl::Status Open() {
    store_.reset();
    auto store = SqliteStore::Open(path_);
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> Events() { return StoredEvents(store_.get()); }

  std::string folder_;
  std::string path_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(SqliteStoreTest, SecondOpenerIsRefused) {
  ASSERT_TRUE(Open().ok());
  const auto second = SqliteStore::Open(path_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(path_));
  store_.reset();
  EXPECT_TRUE(Open().ok());
}

TEST_F(SqliteStoreTest, WhatWasAcknowledgedSurvivesKill) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto store = SqliteStore::Open(path_);
    if (!store.ok()) _exit(1);
    for (int i = 0; i < 5; ++i) {
      if (!(*store)->Append({StateEvent("a", std::to_string(i))}).ok()) _exit(2);
    }
    if (write(pipe_fds[1], "x", 1) != 1) _exit(3);
    pause();
  }
  char byte;
  close(pipe_fds[1]);
  ASSERT_EQ(read(pipe_fds[0], &byte, 1), 1);
  close(pipe_fds[0]);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(std::filesystem::exists(path_ + "-wal"));
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Events()->size(), 5u);
}

// Copies the files of an open store: what a crash leaves behind.
void CopyAsAfterCrash(const std::string& from, const std::string& to) {
  for (const char* suffix : {"", "-wal", "-lock"}) {
    std::filesystem::copy_file(from + suffix, to + suffix);
  }
}

TEST_F(SqliteStoreTest, LogCutBehindAnAcknowledgedEventIsNoticed) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(store_->Append({StateEvent("a", "1")}).ok());
  const auto cut_size = std::filesystem::file_size(path_ + "-wal");
  ASSERT_TRUE(store_->Append({StateEvent("a", "2")}).ok());
  const std::string crashed = folder_ + "/crashed.db";
  CopyAsAfterCrash(path_, crashed);
  std::filesystem::resize_file(crashed + "-wal", cut_size + 100);
  const auto opened = SqliteStore::Open(crashed);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(opened.status().message()),
              HasSubstr("ends at event 1, but event 2 was acknowledged"));
}

TEST_F(SqliteStoreTest, VanishedFileIsNoticed) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(store_->Append({StateEvent("a", "1")}).ok());
  store_.reset();
  std::filesystem::remove(path_);
  EXPECT_EQ(Open().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SqliteStoreTest, NewerSchemaIsRefusedByName) {
  ASSERT_TRUE(Open().ok());
  store_.reset();
  sqlite3* handle;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &handle), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(handle, "PRAGMA user_version=7", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(handle);
  const absl::Status status = Open();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("schema_version 7"));
}

TEST_F(SqliteStoreTest, OtherFilesAreRefused) {
  WriteBytes(path_, "key: value\n");
  EXPECT_FALSE(Open().ok());
  WriteBytes(path_, std::string(8192, 'x'));
  EXPECT_EQ(Open().code(), absl::StatusCode::kFailedPrecondition);
  WriteBytes(path_, "");
  EXPECT_EQ(Open().code(), absl::StatusCode::kDataLoss);
  sqlite3* handle;
  std::filesystem::remove(path_);
  ASSERT_EQ(sqlite3_open(path_.c_str(), &handle), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(handle, "CREATE TABLE t(x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(handle);
  EXPECT_EQ(Open().code(), absl::StatusCode::kFailedPrecondition);
}

class DamageTest : public SqliteStoreTest {
 protected:
  // A store with a few dozen events, closed.
  void Fill() {
    ASSERT_TRUE(Open().ok());
    for (int i = 0; i < 40; ++i) {
      events_.push_back(StateEvent("a", std::string(i * 10, 'r')));
      if (i % 10 == 0) events_.push_back(ManifestEvent("a", "h" + std::to_string(i)));
    }
    ASSERT_TRUE(store_->Append(events_).ok());
    store_.reset();
    bytes_ = ReadBytes(path_);
  }
  // Refused, or read exactly as written.
  void ExpectNeverWrong(const std::string& damaged, const std::string& what) {
    WriteBytes(path_, damaged);
    std::filesystem::remove(path_ + "-wal");
    absl::Status status = Open();
    if (status.ok()) {
      const auto events = Events();
      status = events.status();
      if (status.ok()) {
        EXPECT_EQ(*events, Strings(events_)) << what;
        return;
      }
    }
    ++refused_;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_)) << what;
  }

  std::vector<v1::Event> events_;
  std::string bytes_;
  int refused_ = 0;
};

TEST_F(DamageTest, AnyCutIsRefused) {
  Fill();
  int cuts = 0;
  for (size_t size = 0; size < bytes_.size(); size += 1000) {
    ExpectNeverWrong(bytes_.substr(0, size), "cut to " + std::to_string(size));
    ++cuts;
  }
  EXPECT_EQ(refused_, cuts);
}

TEST_F(DamageTest, NoFlippedBitIsReadAsAnEvent) {
  Fill();
  for (size_t at = 0; at < bytes_.size(); at += 61) {
    std::string damaged = bytes_;
    damaged[at] ^= static_cast<char>(1 << (at % 8));
    ExpectNeverWrong(damaged, "byte " + std::to_string(at));
  }
  // Most of the file is used: flips elsewhere are harmless.
  EXPECT_GT(refused_, 100);
}

TEST_F(SqliteStoreTest, NothingIsWrittenAfterAFailedSync) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(store_->Append({StateEvent("a", "1")}).ok());
  fail_sync_with = EIO;
  EXPECT_FALSE(store_->Append({StateEvent("a", "2")}).ok());
  fail_sync_with = 0;
  const absl::Status status = store_->Append({StateEvent("a", "3")});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no further write"));
  // The transaction in doubt may be there or not; what was acknowledged is, the refused one is not.
  ASSERT_TRUE(Open().ok());
  const auto events = Events();
  ASSERT_GE(events->size(), 1u);
  EXPECT_EQ((*events)[0], StateEvent("a", "1").DebugString());
  for (const std::string& event : *events) EXPECT_NE(event, StateEvent("a", "3").DebugString());
}

TEST_F(SqliteStoreTest, FullDiskIsAnErrorAndOldEventsStay) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(store_->Append({StateEvent("a", "1")}).ok());
  fail_write_with = ENOSPC;
  const absl::Status status = store_->Append({StateEvent("a", std::string(100000, 'x'))});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  fail_write_with = 0;
  EXPECT_FALSE(store_->Append({StateEvent("a", "3")}).ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(*Events(), Strings({StateEvent("a", "1")}));
  EXPECT_TRUE(store_->Append({StateEvent("a", "4")}).ok());
}

}  // namespace
}  // namespace navit
