// How a state file of an older schema becomes one of ours.
#ifndef NAVIT_SERVER_STORE_MIGRATE_H_
#define NAVIT_SERVER_STORE_MIGRATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace navit {

class Database;

// Statements that turn schema_version `from` into from + 1.
struct Migration {
  int from;
  std::string sql;
};

// Of this program, in order: one for every version since the first. None yet: there has been one
// schema.
const std::vector<Migration>& StoreMigrations();

// Copies the state file to PATH-schema-VERSION (whole and synced under that name, or not there),
// then takes `database` from its schema_version to `target`, each step in a transaction of its own:
// after a crash the file has one version or the next. Does nothing at `target`.
// FAILED_PRECONDITION: no step leads there. Other errors name the file.
absl::Status MigrateStore(const std::string& path, Database* database,
                          const std::vector<Migration>& migrations, int target);

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_MIGRATE_H_
