// The job's weights on every rank: how they come there, and the proof that they stay equal.
#ifndef NAVIT_WORKER_REPLICA_STATE_H_
#define NAVIT_WORKER_REPLICA_STATE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "worker/collective.h"
#include "worker/model/parameters.h"

namespace navit {

// Parameters, their average, moments and counters of `source` on every rank; all call it.
// FailedPrecondition: the source's weights do not hold `step` steps, or its model has another size.
absl::Status BroadcastState(int source, uint64_t step, ModelState* state, Collective* collective);

// Internal, naming the rank, when the parameters are not equal to the bit on all ranks.
absl::Status CompareReplicas(uint64_t step, const ModelState& state, Collective* collective);

}  // namespace navit

#endif  // NAVIT_WORKER_REPLICA_STATE_H_
