// evaluation.tasks, shared among the ranks.
#ifndef NAVIT_WORKER_EVALUATION_H_
#define NAVIT_WORKER_EVALUATION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/thread_pool.h"
#include "proto/job_spec.pb.h"
#include "proto/pack.pb.h"
#include "worker/collective.h"
#include "worker/model/embed.h"
#include "worker/model/parameters.h"
#include "worker/run_client.h"

namespace navit {

// What an evaluation works with; all of it must outlive the call.
struct EvaluationArgs {
  // Resolved.
  const v1::JobSpec* spec = nullptr;
  // The weights are those after so many steps.
  uint64_t step = 0;
  const ParameterTable* table = nullptr;
  // With these weights, on the CPU or on this rank's GPU.
  PackEmbedder* embedder = nullptr;
  // For what is computed from embeddings.
  kernels::ThreadPool* pool = nullptr;
  Collective* collective = nullptr;
  RunClient* client = nullptr;
};

// Every rank embeds its share of the packs of data.validation, at each token budget, and rank 0
// adds to `*scores`, under the names of v1::Scores with "heldout/":
//   retrieval       recall at 1, 5 and 10 both ways, with the chance level
//   zero_shot       scores of the classes' mean prompt embeddings
//   classification  scores of the classifier
//   linear_probe    scores of a logistic regression fitted to SPLIT_PROBE
// All ranks call it after the same step. InvalidArgument: a pack does not fit the job, and in what;
// errors of the embedder, the collective and the client as they are. The wait for the slowest
// rank's packs goes through the coordinator and not through the collective, whose deadline is meant
// for ranks that compute.
absl::Status EvaluateTasks(const EvaluationArgs& args, v1::Scores* scores);

// The same retrieval over the training pairs, under "trained/".
absl::Status EvaluateTrainedPairs(const EvaluationArgs& args, v1::Scores* scores);

}  // namespace navit

#endif  // NAVIT_WORKER_EVALUATION_H_
