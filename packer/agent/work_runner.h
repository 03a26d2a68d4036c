// Does a piece of work; knows nothing of leases and the network.
#ifndef NAVIT_PACKER_AGENT_WORK_RUNNER_H_
#define NAVIT_PACKER_AGENT_WORK_RUNNER_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/stop_flag.h"
#include "packer/agent/data_plane.h"
#include "packer/agent/job_table.h"
#include "packer/agent/lease_book.h"
#include "packer/metrics.h"
#include "proto/fleet.pb.h"

namespace navit {

struct DataRetryOptions {
  // A read that fails with a transient code is repeated for this long, then it is a failure.
  absl::Duration give_up_after = absl::Seconds(10);
  BackoffOptions backoff;
};

// Runs `read` until it succeeds, fails with a code that repeating cannot change, or the time is up.
absl::Status RetryRead(const DataRetryOptions& options, const Clock& clock, StopFlag* stop,
                       PackerMetrics* metrics, const std::function<absl::Status()>& read);

// What FinishWork tells of a failure. Fatal: the data or the job file must change first
// (INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE, DATA_LOSS, UNIMPLEMENTED).
v1::WorkFailure FailureOf(const absl::Status& status);

// Thread-safe.
class WorkRunner {
 public:
  // All arguments must outlive the runner.
  WorkRunner(DataPlane* data, JobTable* jobs, PackerMetrics* metrics, const Clock* clock,
             StopFlag* stop, DataRetryOptions retry);

  struct Outcome {
    // Everything but `worker` and `lease_epoch`.
    v1::FinishWorkRequest result;
    // Of a WindowLease that was planned.
    std::shared_ptr<const HeldWindow> window;
  };
  // Never fails: failures are results too.
  Outcome Run(const v1::Work& work);

 private:
  absl::Status RunExpand(const v1::ExpandShards& work, Outcome* outcome);
  absl::Status RunIndex(const v1::IndexShard& work, Outcome* outcome);
  absl::Status RunWindow(const v1::WindowLease& work, Outcome* outcome);
  absl::Status RunAudit(const v1::AuditWindows& work, Outcome* outcome);
  absl::Status RunProbe(const v1::Probe& work, Outcome* outcome);
  absl::Status Plan(const std::string& job, const JobPacks& packs, v1::Split split, uint64_t window,
                    WindowPlan* plan);
  absl::Status Retry(const std::function<absl::Status()>& read);

  DataPlane* const data_;
  JobTable* const jobs_;
  PackerMetrics* const metrics_;
  const Clock* const clock_;
  StopFlag* const stop_;
  const DataRetryOptions retry_;
};

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_WORK_RUNNER_H_
