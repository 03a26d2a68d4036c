// Which waiting job gets which share of the free trainers of one kind (CPU or CUDA): a pure decision
// with its reasons.
//
// Policy. Jobs that wait for trainers are served by priority (higher first), then by time of
// submit. A job gets its whole gang or nothing: trainers are taken only when, with those that it
// has kept through a failure, at least workers.trainers.min are there; then up to max. Later jobs
// may start on trainers that are too few for an earlier one (backfill), until the earlier one has
// waited backfill_seconds: from then on no later job gets a trainer before it. Nothing is
// preempted.
//
// Starvation bound: a job that can run on this fleet at all starts at the latest when it has waited
// backfill_seconds and then all jobs that hold the trainers it needs have ended, unless jobs of
// higher priority keep arriving. A lower priority gives no bound against higher ones; that is what
// priority means.
//
// Packers are no part of a gang: every running job's windows are leased to all of them. A job
// starts once workers.packers.min packers are there.
#ifndef NAVIT_SERVER_CORE_SCHEDULER_H_
#define NAVIT_SERVER_CORE_SCHEDULER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace navit {

// A job that waits for trainers.
struct GangRequest {
  std::string job;
  int32_t priority = 0;
  // Order among equal priorities.
  double submitted_seconds = 0;
  // Since when it waits, in seconds.
  double waiting_seconds = 0;
  // Trainers that it has: survivors, or members of a gang that is forming.
  uint32_t have = 0;
  uint32_t min_trainers = 1;
  uint32_t max_trainers = 1;
  uint32_t min_packers = 1;
  // Of the trainers that it needs, for the reasons.
  std::string trainer_kind = "trainer";
};

struct Placement {
  std::string job;
  // Free trainers that the job takes now.
  uint32_t take = 0;
  // Why it takes none, or what it waits for; empty: it has all that it can take.
  std::string reason;
};

// One placement per request, in the order of service. The sum of `take` is at most free_trainers.
std::vector<Placement> Schedule(absl::Span<const GangRequest> requests, uint32_t free_trainers,
                                uint32_t live_packers, double backfill_seconds);

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_SCHEDULER_H_
