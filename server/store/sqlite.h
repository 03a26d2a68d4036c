// The little of SQLite's C interface that the store needs, with absl::Status and ownership.
#ifndef NAVIT_SERVER_STORE_SQLITE_H_
#define NAVIT_SERVER_STORE_SQLITE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3;
struct sqlite3_stmt;

namespace navit {

// Status codes of this header, by SQLite's result: DATA_LOSS (corrupt), FAILED_PRECONDITION (not a
// database), UNAVAILABLE (locked), RESOURCE_EXHAUSTED (disk full), PERMISSION_DENIED, INTERNAL
// (input/output and others). Messages begin with the file's path.
class Database {
 public:
  // Opens or creates. `must_exist`: do not create.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path, bool must_exist);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs statements that return no rows of interest.
  absl::Status Run(const std::string& sql);
  // The first column of the first row, which must exist.
  absl::StatusOr<int64_t> Integer(const std::string& sql);
  absl::StatusOr<std::string> Text(const std::string& sql);

  absl::Status Error(int code, absl::string_view action) const;

 private:
  friend class Statement;
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}

  const std::string path_;
  sqlite3* const handle_;
};

// One prepared statement. Errors of Bind are kept and returned by Step.
class Statement {
 public:
  Statement(Database* database, const char* sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // `place` counts from 1. Text and blob must live until the next Reset.
  Statement& Bind(int place, int64_t value);
  Statement& BindText(int place, absl::string_view value);
  Statement& BindBlob(int place, absl::string_view value);

  // True: a row is there. False: done.
  absl::StatusOr<bool> Step();
  // Step for a statement without rows.
  absl::Status Execute();
  void Reset();

  // Columns of the current row, from 0; views live until the next Step or Reset.
  int64_t Integer(int column) const;
  absl::string_view Bytes(int column) const;

 private:
  Database* const database_;
  sqlite3_stmt* statement_ = nullptr;
  int error_ = 0;
};

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_SQLITE_H_
