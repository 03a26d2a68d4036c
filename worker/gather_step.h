// What the ranks tell each other at the end of a step, beside the gradients.
#ifndef NAVIT_WORKER_GATHER_STEP_H_
#define NAVIT_WORKER_GATHER_STEP_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/fleet.pb.h"
#include "worker/batch_source.h"
#include "worker/collective.h"

namespace navit {

// A rank's own step.
struct OwnStep {
  // Their deal has as many ranks as the collective.
  const StepPacks* packs = nullptr;
  double useful_flops = 0;
  // Since the last update, and the part of it that this rank worked itself.
  absl::Duration so_far;
  absl::Duration own_work;
};

struct GatheredStep {
  // The step of all ranks: number, digest of the (ordinal, content hash) that they used, counts of
  // the deal, useful operations, seconds of the slowest. The same on every rank.
  v1::StepReport report;
  // By how much this rank worked longer than the one that worked least.
  absl::Duration lag;
};

// Every rank calls it after its gradients are complete. Internal: the deal is for another number of
// ranks; else the collective's errors.
absl::StatusOr<GatheredStep> GatherStep(const OwnStep& step, Collective* collective);

}  // namespace navit

#endif  // NAVIT_WORKER_GATHER_STEP_H_
