// The learning rate over a training run.
#ifndef NAVIT_WORKER_MODEL_SCHEDULE_H_
#define NAVIT_WORKER_MODEL_SCHEDULE_H_

#include <cstdint>

#include "proto/job_spec.pb.h"

namespace navit {

struct Schedule {
  v1::ScheduleSpec::Kind kind = v1::ScheduleSpec::COSINE;
  // Shares of the training; warmup_steps, where above 0, takes the place of warmup_fraction.
  double warmup_fraction = 0.05;
  uint64_t warmup_steps = 0;
  // RSQRT: the time over which the rate falls to 1/sqrt(2).
  double timescale_fraction = 0.05;
  // RSQRT and CONSTANT: the end of the training, over which the rate goes down to zero.
  double cooldown_fraction = 0;
};

// `spec` is resolved (all fields present).
Schedule ResolveSchedule(const v1::ScheduleSpec& spec);

// Factor of the peak rate at step `step` >= 1, whose progress of the training is `progress` in
// [0, 1]. With w the progress at which the warm-up ends:
//   warm-up    p / w
//   constant   1
//   cosine     (1 + cos(pi (p - w) / (1 - w))) / 2
//   rsqrt      1 / sqrt(1 + (p - w) / timescale)
// times min(1, (1 - p) / cooldown). A warm-up in steps ends where the progress so far, continued
// evenly, has these steps.
double ScheduleFactor(const Schedule& schedule, double progress, uint64_t step);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_SCHEDULE_H_
