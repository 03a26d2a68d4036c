// The coordinator's durable state in one SQLite file: an append-only table of events.
//
// On disk (schema_version 1, kept as PRAGMA user_version; application_id "navt"):
//   events(seq INTEGER PRIMARY KEY, job TEXT, body BLOB, manifest TEXT, check_value INTEGER)
//       body: a serialised Event, a ManifestFrozen without its manifest, whose hash stands in
//       `manifest` ('' otherwise); check_value: xxh3 over (seq, job, body). seq grows by one per
//       event and is never used again.
//   manifests(hash TEXT PRIMARY KEY, body BLOB, check_value INTEGER)    each stored once
//   totals(events INTEGER, last_seq INTEGER)                      one row, same transaction
// Journal: WAL, synchronous=FULL: Append returns after an fsync.
//
// Beside FILE lie FILE-wal (SQLite's) and FILE-lock: locked (flock) while the store is open, and
// holding the seq of the last acknowledged event. A log that was cut behind that event loses
// committed transactions in a way that SQLite takes for a crash; the seal tells the two apart.
#ifndef NAVIT_SERVER_STORE_SQLITE_STORE_H_
#define NAVIT_SERVER_STORE_SQLITE_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proto/events.pb.h"
#include "server/core/event_store.h"

namespace navit {

class Database;
class StoreLock;

struct SqliteStoreOptions {
  // Called after every commit with what it took.
  std::function<void(absl::Duration)> on_commit;
};

// Thread-compatible, as EventStore.
class SqliteStore : public EventStore {
 public:
  static constexpr int kSchemaVersion = 1;

  // Opens FILE, or makes it when it does not exist (its folder must). Every error names the file.
  //   UNAVAILABLE           another process has it open
  // A file of an older schema is copied to FILE-schema-VERSION and then made one of ours.
  //   FAILED_PRECONDITION   written by a newer version (names both); not a navit state file
  //   DATA_LOSS             cut, damaged, or older than what was acknowledged to clients
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                           SqliteStoreOptions options = {});
  // Without a further write: what was appended is durable already.
  ~SqliteStore() override;

  // DATA_LOSS: an event does not match its checksum, or a manifest is gone.
  absl::Status Load(const std::function<absl::Status(const v1::Event&)>& apply) override;

  // After any error no further write is accepted: every later Append is FAILED_PRECONDITION and
  // names the first error.
  absl::Status Append(absl::Span<const v1::Event> events) override;

  // Seq of the last event.
  uint64_t last_seq() const { return last_seq_; }

 private:
  SqliteStore(std::string path, SqliteStoreOptions options, std::unique_ptr<StoreLock> lock,
              std::unique_ptr<Database> database);

  absl::Status CheckOpened();
  absl::Status AppendTransaction(absl::Span<const v1::Event> events, uint64_t* last_seq);
  // Returns how many events went.
  absl::StatusOr<int64_t> DropJob(const std::string& job, uint64_t before_seq);
  absl::Status StoreManifest(const v1::ManifestFrozen& frozen);

  const std::string path_;
  const SqliteStoreOptions options_;
  // The lock is released last.
  const std::unique_ptr<StoreLock> lock_;
  const std::unique_ptr<Database> database_;
  uint64_t last_seq_ = 0;
  absl::Status write_error_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_SQLITE_STORE_H_
