#include "server/store/sqlite.h"

#include <sqlite3.h>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace navit {
namespace {

absl::StatusCode CodeOf(int result) {
  switch (result & 0xff) {
    case SQLITE_CORRUPT:
      return absl::StatusCode::kDataLoss;
    case SQLITE_NOTADB:
      return absl::StatusCode::kFailedPrecondition;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, bool must_exist) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE |
                    (must_exist ? 0 : SQLITE_OPEN_CREATE);
  const int result = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  if (handle == nullptr) return absl::ResourceExhaustedError(path + ": no memory to open it");
  std::unique_ptr<Database> database(new Database(path, handle));
  if (result != SQLITE_OK) return database->Error(result, "open");
  return database;
}

Database::~Database() { sqlite3_close_v2(handle_); }

absl::Status Database::Error(int code, absl::string_view action) const {
  return absl::Status(CodeOf(code), absl::StrCat(path_, ": ", action, ": ", sqlite3_errmsg(handle_),
                                                 " (SQLite ", code, ")"));
}

absl::Status Database::Run(const std::string& sql) {
  const int result = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : Error(result, sql);
}

absl::StatusOr<int64_t> Database::Integer(const std::string& sql) {
  Statement statement(this, sql.c_str());
  NAVIT_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::DataLossError(absl::StrCat(path_, ": no row: ", sql));
  return statement.Integer(0);
}

absl::StatusOr<std::string> Database::Text(const std::string& sql) {
  Statement statement(this, sql.c_str());
  NAVIT_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::DataLossError(absl::StrCat(path_, ": no row: ", sql));
  const absl::string_view bytes = statement.Bytes(0);
  return std::string(bytes.data(), bytes.size());
}

Statement::Statement(Database* database, const char* sql) : database_(database) {
  error_ = sqlite3_prepare_v2(database_->handle_, sql, -1, &statement_, nullptr);
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::Bind(int place, int64_t value) {
  if (error_ == SQLITE_OK) error_ = sqlite3_bind_int64(statement_, place, value);
  return *this;
}

Statement& Statement::BindText(int place, absl::string_view value) {
  if (error_ == SQLITE_OK) {
    error_ = sqlite3_bind_text64(statement_, place, value.data(), value.size(), SQLITE_STATIC,
                                 SQLITE_UTF8);
  }
  return *this;
}

Statement& Statement::BindBlob(int place, absl::string_view value) {
  if (error_ == SQLITE_OK) {
    error_ = sqlite3_bind_blob64(statement_, place, value.data(), value.size(), SQLITE_STATIC);
  }
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  if (error_ != SQLITE_OK) return database_->Error(error_, "prepare");
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return database_->Error(result, sqlite3_sql(statement_));
}

absl::Status Statement::Execute() { return Step().status(); }

void Statement::Reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

int64_t Statement::Integer(int column) const { return sqlite3_column_int64(statement_, column); }

absl::string_view Statement::Bytes(int column) const {
  const char* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? absl::string_view() : absl::string_view(data, size);
}

}  // namespace navit
