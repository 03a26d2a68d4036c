// Retrieval on an evaluation split, shared among the ranks.
#ifndef NAVIT_WORKER_EVALUATION_H_
#define NAVIT_WORKER_EVALUATION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/thread_pool.h"
#include "proto/pack.pb.h"
#include "worker/collective.h"
#include "worker/model/parameters.h"
#include "worker/run_client.h"

namespace navit {

// Every rank embeds its share of the split's packs; all embeddings are gathered, and rank 0 adds to
// `*scores` recall at 1, 5 and 10 both ways, with the chance level, under the names of v1::Scores:
// "heldout/…" for SPLIT_VALIDATION, "trained/…" for SPLIT_TRAINED_PAIRS. All ranks call it after
// the same step. The wait for the slowest rank's packs goes through the coordinator and not through
// the collective, whose deadline is meant for ranks that compute.
absl::Status EvaluateRetrieval(v1::Split split, uint64_t step, uint32_t token_budget,
                               const ParameterTable& table, const ModelState& state,
                               kernels::ThreadPool* pool, Collective* collective, RunClient* client,
                               v1::Scores* scores);

}  // namespace navit

#endif  // NAVIT_WORKER_EVALUATION_H_
