// A coordinator's term: from the store to the end of serving. With SQLite a process has one; with
// etcd it has one each time that it leads.
#ifndef NAVIT_SERVER_TERM_H_
#define NAVIT_SERVER_TERM_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/grpc_server.h"
#include "common/stop_flag.h"
#include "common/wakeup.h"
#include "server/core/event_store.h"
#include "server/metrics.h"

namespace navit {

// What ends a term. Thread-safe, but for one waiter.
class TermEnd {
 public:
  // The process is to end: this term and all later ones are over.
  void Stop();
  // The present term is over; the first reason counts.
  void Fail(const absl::Status& why);
  // Before a new term: forgets why the last one failed.
  void Reset();
  // Returns after Stop (OK) or Fail (why).
  absl::Status Wait();
  StopFlag* stop() { return &stop_; }

 private:
  StopFlag stop_;
  Wakeup bell_;
  absl::Mutex mutex_;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
};

struct TermOptions {
  GrpcServerOptions grpc;
  std::string listen_http;
  // Of the jobs' log lines.
  std::string logs_folder;
  uint64_t log_bytes_per_job = 0;
  // See CoordinatorOptions.
  double direct_above_bytes_per_second = 1e9;
  // Where the state is, for people.
  std::string state;
  // Called with the ports once it serves; an error ends the term.
  std::function<absl::Status(int grpc_port, int http_port)> serving;
};

// Recovers from `store` and serves until `end`; then drains. OK: told to stop. ABORTED: a write
// failed, or what Fail said. UNAVAILABLE: the store is away, or an address cannot be listened on.
// Other codes: the store or the log folder cannot be used.
absl::Status ServeTerm(const TermOptions& options, EventStore* store, ServerMetrics* metrics,
                       TermEnd* end);

}  // namespace navit

#endif  // NAVIT_SERVER_TERM_H_
