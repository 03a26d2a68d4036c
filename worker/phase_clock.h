// The clock of a trainer's phases.
#ifndef NAVIT_WORKER_PHASE_CLOCK_H_
#define NAVIT_WORKER_PHASE_CLOCK_H_

#include <cstdint>
#include <mutex>
#include <string>

#include "absl/time/time.h"
#include "proto/fleet.pb.h"
#include "worker/metrics.h"

namespace navit {

// Which phase the trainer is in and since when: told in heartbeats, summed in metrics. Every moment
// from construction on is counted in exactly one phase, the current one included. Thread-safe.
class PhaseClock {
 public:
  explicit PhaseClock(TrainerMetrics* metrics);

  // The phase before ends and is counted under its name of METRICS ("copy" has no phase of its own:
  // pass `label`).
  void Enter(v1::Phase phase, uint64_t step, const char* label = nullptr);
  // Counts the current phase so far. Of a RUNNING state, fills in step, phase and seconds_in_phase.
  void Fill(v1::TrainerState* state);
  // Time since the last call in phases that wait for no other rank: copy, forward, backward.
  absl::Duration TakeOwnWork();

 private:
  static absl::Duration Now();
  // Requires mutex_.
  void Count();

  TrainerMetrics* const metrics_;
  std::mutex mutex_;
  v1::Phase phase_ = v1::PHASE_IDLE;
  uint64_t step_ = 0;
  std::string label_;
  absl::Duration since_;
  // Up to here all time is in the metrics.
  absl::Duration counted_;
  absl::Duration own_work_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_PHASE_CLOCK_H_
