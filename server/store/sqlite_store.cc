#include "server/store/sqlite_store.h"

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/status_macros.h"
#include "server/store/migrate.h"
#include "server/store/record_check.h"
#include "server/store/sqlite.h"
#include "server/store/store_lock.h"

namespace navit {
namespace {

constexpr int64_t kApplicationId = 0x6e617674;  // "navt"

// Seq 0 for manifests, whose hash stands in for the job.
int64_t RowCheck(uint64_t seq, absl::string_view name, absl::string_view body) {
  return static_cast<int64_t>(RecordCheck(seq, name, body));
}

absl::Status Configure(Database* database) {
  // Exclusive locking keeps the index of the log in memory: no FILE-shm.
  NAVIT_RETURN_IF_ERROR(database->Run("PRAGMA locking_mode=EXCLUSIVE"));
  NAVIT_RETURN_IF_ERROR(database->Text("PRAGMA journal_mode=WAL").status());
  return database->Run("PRAGMA synchronous=FULL");
}

// Makes an empty store under a temporary name and renames it: a file under the real name is always
// whole, so that an empty or half-written one is damage and not a beginning.
absl::Status CreateStore(const std::string& path) {
  const std::string temporary = path + "-new";
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    NAVIT_RETURN_IF_ERROR(RemoveAll(temporary + suffix));
  }
  {
    NAVIT_ASSIGN_OR_RETURN(auto database, Database::Open(temporary, /*must_exist=*/false));
    NAVIT_RETURN_IF_ERROR(Configure(database.get()));
    NAVIT_RETURN_IF_ERROR(database->Run(absl::StrCat(
        "BEGIN IMMEDIATE;"
        "CREATE TABLE events(seq INTEGER PRIMARY KEY, job TEXT NOT NULL, body BLOB NOT NULL,"
        "  manifest TEXT NOT NULL, check_value INTEGER NOT NULL);"
        "CREATE TABLE manifests(hash TEXT PRIMARY KEY, body BLOB NOT NULL,"
        "  check_value INTEGER NOT NULL);"
        "CREATE TABLE totals(events INTEGER NOT NULL, last_seq INTEGER NOT NULL);"
        "INSERT INTO totals VALUES(0, 0);"
        "PRAGMA application_id=",
        kApplicationId, "; PRAGMA user_version=", SqliteStore::kSchemaVersion, "; COMMIT;")));
  }  // The last connection moves the log into the file and syncs it.
  if (rename(temporary.c_str(), path.c_str()) != 0) return FileError("rename", temporary, errno);
  return SyncFolder(FolderOf(path));
}

absl::Status Damaged(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": damaged: ", what,
                                          "; restore it from a copy, together with ", path,
                                          "-wal, or start with another --state"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               SqliteStoreOptions options) {
  if (path.empty()) return absl::InvalidArgumentError("state file: no name given");
  NAVIT_ASSIGN_OR_RETURN(auto lock, StoreLock::Take(path));
  struct stat file_stat;
  if (stat(path.c_str(), &file_stat) != 0) {
    if (errno != ENOENT) return FileError("stat", path, errno);
    if (lock->sealed_seq().value_or(0) > 0) {
      return Damaged(path, absl::StrCat("it is gone, but ", lock->path(), " says that it held ",
                                        *lock->sealed_seq(), " events"));
    }
    NAVIT_RETURN_IF_ERROR(CreateStore(path));
  } else if (!S_ISREG(file_stat.st_mode)) {
    return absl::FailedPreconditionError(path + ": not a regular file");
  } else if (file_stat.st_size == 0) {
    return Damaged(path, "the file is empty");
  }
  NAVIT_ASSIGN_OR_RETURN(auto database, Database::Open(path, /*must_exist=*/true));
  std::unique_ptr<SqliteStore> store(
      new SqliteStore(path, std::move(options), std::move(lock), std::move(database)));
  NAVIT_RETURN_IF_ERROR(store->CheckOpened());
  return store;
}

SqliteStore::SqliteStore(std::string path, SqliteStoreOptions options,
                         std::unique_ptr<StoreLock> lock, std::unique_ptr<Database> database)
    : path_(std::move(path)),
      options_(std::move(options)),
      lock_(std::move(lock)),
      database_(std::move(database)) {}

SqliteStore::~SqliteStore() = default;

absl::Status SqliteStore::CheckOpened() {
  NAVIT_ASSIGN_OR_RETURN(const int64_t application, database_->Integer("PRAGMA application_id"));
  if (application != kApplicationId) {
    return absl::FailedPreconditionError(path_ + ": a SQLite file, but not a navit state file");
  }
  NAVIT_ASSIGN_OR_RETURN(const int64_t version, database_->Integer("PRAGMA user_version"));
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        path_, ": has schema_version ", version,
        ", written by a newer navit-coordinator; this one knows versions up to ", kSchemaVersion));
  }
  if (version < 1) {
    return Damaged(path_, absl::StrCat("schema_version ", version, " never existed"));
  }
  NAVIT_RETURN_IF_ERROR(Configure(database_.get()));
  NAVIT_ASSIGN_OR_RETURN(const std::string verdict, database_->Text("PRAGMA integrity_check(1)"));
  if (verdict != "ok") return Damaged(path_, verdict);
  NAVIT_RETURN_IF_ERROR(MigrateStore(path_, database_.get(), StoreMigrations(), kSchemaVersion));

  NAVIT_ASSIGN_OR_RETURN(const int64_t rows, database_->Integer("SELECT COUNT(*) FROM totals"));
  if (rows != 1) return Damaged(path_, absl::StrCat("totals has ", rows, " rows"));
  NAVIT_ASSIGN_OR_RETURN(const int64_t recorded, database_->Integer("SELECT events FROM totals"));
  NAVIT_ASSIGN_OR_RETURN(const int64_t present, database_->Integer("SELECT COUNT(*) FROM events"));
  if (recorded != present) {
    return Damaged(path_, absl::StrCat("holds ", present, " events instead of ", recorded));
  }
  NAVIT_ASSIGN_OR_RETURN(const int64_t last, database_->Integer("SELECT last_seq FROM totals"));
  NAVIT_ASSIGN_OR_RETURN(const int64_t greatest,
                         database_->Integer("SELECT COALESCE(MAX(seq), 0) FROM events"));
  // Only a deleted job's events go, and its JobDeleted, which is newer, stays.
  if (last != greatest) {
    return Damaged(path_, absl::StrCat("ends at event ", greatest, " instead of ", last));
  }
  last_seq_ = static_cast<uint64_t>(last);
  const uint64_t sealed = lock_->sealed_seq().value_or(0);
  if (last_seq_ < sealed) {
    return Damaged(
        path_, absl::StrCat("ends at event ", last_seq_, ", but event ", sealed,
                            " was acknowledged (", lock_->path(), "): the file is an old copy, or ",
                            path_, "-wal was cut, damaged or lost"));
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::Load(const std::function<absl::Status(const v1::Event&)>& apply) {
  Statement rows(database_.get(), "SELECT seq, job, body, check_value FROM events ORDER BY seq");
  Statement manifest(database_.get(), "SELECT body, check_value FROM manifests WHERE hash = ?1");
  v1::Event event;
  while (true) {
    NAVIT_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return absl::OkStatus();
    const uint64_t seq = static_cast<uint64_t>(rows.Integer(0));
    if (RowCheck(seq, rows.Bytes(1), rows.Bytes(2)) != rows.Integer(3) ||
        !event.ParseFromArray(rows.Bytes(2).data(), static_cast<int>(rows.Bytes(2).size()))) {
      return Damaged(path_, absl::StrCat("event ", seq, " does not match its checksum"));
    }
    if (event.has_manifest_frozen()) {
      v1::ManifestFrozen* frozen = event.mutable_manifest_frozen();
      manifest.Reset();
      NAVIT_ASSIGN_OR_RETURN(const bool found, manifest.BindText(1, frozen->hash()).Step());
      const absl::string_view body = found ? manifest.Bytes(0) : absl::string_view();
      if (!found || RowCheck(0, frozen->hash(), body) != manifest.Integer(1) ||
          !frozen->mutable_manifest()->ParseFromArray(body.data(), static_cast<int>(body.size()))) {
        return Damaged(path_, absl::StrCat("manifest ", frozen->hash(), " of event ", seq,
                                           found ? " does not match its checksum" : " is gone"));
      }
    }
    NAVIT_RETURN_IF_ERROR(apply(event));
  }
}

absl::Status SqliteStore::Append(absl::Span<const v1::Event> events) {
  if (!write_error_.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ": no further write after one that failed: ", write_error_.message()));
  }
  if (events.empty()) return absl::OkStatus();
  const auto started = std::chrono::steady_clock::now();
  uint64_t last_seq = last_seq_;
  absl::Status status = AppendTransaction(events, &last_seq);
  // What was acknowledged must be provable at the next start: no seal, no acknowledgement.
  if (status.ok()) status = lock_->Seal(last_seq);
  if (!status.ok()) {
    // Whether the transaction is on disk is unknown (a failed fsync may have dropped the pages).
    // The connection stays as it is: a rollback would write.
    write_error_ = status;
    return status;
  }
  last_seq_ = last_seq;
  if (options_.on_commit) {
    options_.on_commit(absl::FromChrono(std::chrono::steady_clock::now() - started));
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::AppendTransaction(absl::Span<const v1::Event> events,
                                            uint64_t* last_seq) {
  NAVIT_RETURN_IF_ERROR(database_->Run("BEGIN IMMEDIATE"));
  Statement insert(database_.get(),
                   "INSERT INTO events(seq, job, body, manifest, check_value)"
                   " VALUES(?1, ?2, ?3, ?4, ?5)");
  std::string body;
  int64_t rows = static_cast<int64_t>(events.size());
  for (const v1::Event& event : events) {
    const uint64_t seq = ++*last_seq;
    const std::string& manifest = event.manifest_frozen().hash();
    if (event.has_manifest_frozen()) {
      NAVIT_RETURN_IF_ERROR(StoreManifest(event.manifest_frozen()));
      v1::Event bare = event;
      bare.mutable_manifest_frozen()->clear_manifest();
      body = bare.SerializeAsString();
    } else {
      body = event.SerializeAsString();
    }
    insert.Reset();
    NAVIT_RETURN_IF_ERROR(insert.Bind(1, static_cast<int64_t>(seq))
                              .BindText(2, event.job())
                              .BindBlob(3, body)
                              .BindText(4, manifest)
                              .Bind(5, RowCheck(seq, event.job(), body))
                              .Execute());
    if (event.has_job_deleted()) {
      NAVIT_ASSIGN_OR_RETURN(const int64_t dropped, DropJob(event.job(), seq));
      rows -= dropped;
    }
  }
  insert.Reset();
  Statement totals(database_.get(), "UPDATE totals SET events = events + ?1, last_seq = ?2");
  NAVIT_RETURN_IF_ERROR(totals.Bind(1, rows).Bind(2, static_cast<int64_t>(*last_seq)).Execute());
  totals.Reset();
  return database_->Run("COMMIT");
}

absl::Status SqliteStore::StoreManifest(const v1::ManifestFrozen& frozen) {
  const std::string body = frozen.manifest().SerializeAsString();
  Statement insert(database_.get(),
                   "INSERT INTO manifests(hash, body, check_value) VALUES(?1, ?2, ?3)"
                   " ON CONFLICT(hash) DO NOTHING");
  return insert.BindText(1, frozen.hash())
      .BindBlob(2, body)
      .Bind(3, RowCheck(0, frozen.hash(), body))
      .Execute();
}

absl::StatusOr<int64_t> SqliteStore::DropJob(const std::string& job, uint64_t before_seq) {
  {
    Statement drop(database_.get(), "DELETE FROM events WHERE job = ?1 AND seq < ?2");
    NAVIT_RETURN_IF_ERROR(
        drop.BindText(1, job).Bind(2, static_cast<int64_t>(before_seq)).Execute());
  }
  NAVIT_ASSIGN_OR_RETURN(const int64_t dropped, database_->Integer("SELECT changes()"));
  // Several jobs may share a manifest: it goes with the last event that names it.
  NAVIT_RETURN_IF_ERROR(
      database_->Run("DELETE FROM manifests WHERE hash NOT IN (SELECT manifest FROM events)"));
  return dropped;
}

}  // namespace navit
