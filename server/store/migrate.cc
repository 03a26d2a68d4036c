#include "server/store/migrate.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/files.h"
#include "common/status_macros.h"
#include "server/store/sqlite.h"

namespace navit {
namespace {

absl::Status SyncFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path, errno);
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  return result == 0 ? absl::OkStatus() : FileError("fsync", path, error);
}

// VACUUM INTO reads the log too: the copy is what was committed.
absl::Status CopyStore(const std::string& path, Database* database, int64_t version) {
  const std::string copy = absl::StrCat(path, "-schema-", version);
  const std::string temporary = copy + "-new";
  NAVIT_RETURN_IF_ERROR(RemoveAll(temporary));
  NAVIT_RETURN_IF_ERROR(database->Run(
      absl::StrCat("VACUUM INTO '", absl::StrReplaceAll(temporary, {{"'", "''"}}), "'")));
  NAVIT_RETURN_IF_ERROR(SyncFile(temporary));
  if (rename(temporary.c_str(), copy.c_str()) != 0) return FileError("rename", temporary, errno);
  return SyncFolder(FolderOf(path));
}

}  // namespace

const std::vector<Migration>& StoreMigrations() {
  static const auto* migrations = new std::vector<Migration>();
  return *migrations;
}

absl::Status MigrateStore(const std::string& path, Database* database,
                          const std::vector<Migration>& migrations, int target) {
  NAVIT_ASSIGN_OR_RETURN(const int64_t first, database->Integer("PRAGMA user_version"));
  if (first == target) return absl::OkStatus();
  NAVIT_RETURN_IF_ERROR(CopyStore(path, database, first));
  int64_t version = first;
  for (const Migration& migration : migrations) {
    if (migration.from != version) continue;
    NAVIT_RETURN_IF_ERROR(database->Run(absl::StrCat(
        "BEGIN IMMEDIATE;", migration.sql, ";PRAGMA user_version=", ++version, ";COMMIT;")));
  }
  if (version != target) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": has schema_version ", first, "; nothing leads from ", version, " to ", target));
  }
  return absl::OkStatus();
}

}  // namespace navit
