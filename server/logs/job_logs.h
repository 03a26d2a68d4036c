// The log lines of jobs, in files, bounded in bytes per job: those of its trainers, of packers
// while they work for it, and of the coordinator about it. Lines of workers that are gone stay.
//
// FOLDER/JOB/0000000000000001.log …: each file is named by the sequence number of its first line
// and holds frames
//
//   u32 length | u32 checksum | length bytes of a serialised LogLine        (little-endian)
//
// where the checksum is the low half of the XXH3 of those bytes. A file takes an eighth of the
// job's bytes; then a new one begins, and the oldest goes once all together take more. Nothing is
// synced: a machine that dies may lose the last lines. A file that is cut or damaged ends at its
// last whole frame.
#ifndef NAVIT_SERVER_LOGS_JOB_LOGS_H_
#define NAVIT_SERVER_LOGS_JOB_LOGS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "proto/logs.pb.h"

namespace navit {

// Thread-safe.
class JobLogs {
 public:
  // Makes `folder` if it is absent. Errors name it.
  static absl::StatusOr<std::unique_ptr<JobLogs>> Open(const std::string& folder,
                                                       uint64_t max_bytes_per_job);

  // Keeps the line under the next sequence number of `line.job`. A line that a process sends again
  // (same worker, incarnation and number, or an older one) is dropped.
  absl::Status Append(v1::LogLine line);

  // Where a reader stands. Zero: at the oldest line that is kept.
  struct Cursor {
    uint64_t sequence = 0;
    uint64_t file = 0;
    uint64_t offset = 0;
  };
  // Lines behind the cursor, which moves on, up to about `max_bytes` of them; none: the end.
  absl::StatusOr<std::vector<v1::LogLine>> Read(const std::string& job, uint64_t max_bytes,
                                                Cursor* cursor) const;
  // Sequence number of the newest line; 0: none.
  uint64_t Newest(const std::string& job) const;

  absl::Status Drop(const std::string& job);
  // Drops the logs of all other jobs.
  absl::Status Keep(const std::set<std::string>& jobs);

 private:
  struct Log {
    // First sequence number -> bytes.
    std::map<uint64_t, uint64_t> files;
    uint64_t newest = 0;
    // The newest line of each process.
    std::map<std::pair<std::string, uint64_t>, uint64_t> numbers;
  };

  JobLogs(std::string folder, uint64_t max_bytes)
      : folder_(std::move(folder)), max_bytes_(max_bytes) {}
  std::string FileName(const std::string& job, uint64_t first) const;
  absl::Status Load(const std::string& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static bool IsRepeated(const v1::LogLine& line, Log* log);

  const std::string folder_;
  const uint64_t max_bytes_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Log> logs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_SERVER_LOGS_JOB_LOGS_H_
