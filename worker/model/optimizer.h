// AdamW over flat buffers with gradient clipping.
#ifndef NAVIT_WORKER_MODEL_OPTIMIZER_H_
#define NAVIT_WORKER_MODEL_OPTIMIZER_H_

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "proto/job_spec.pb.h"
#include "worker/model/parameters.h"
#include "worker/model/schedule.h"
#include "worker/model/tensor_rules.h"

namespace navit {

struct OptimizerOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  // Inside the learning rate, as in torch: w -= lr * weight_decay * w. Of matrices, unless `rules`
  // says otherwise.
  double weight_decay = 0.1;
  // Global gradient norm is scaled down to this; 0 turns clipping off.
  double clip_norm = 1.0;
  // Of the weights' moving average, in a state that has one.
  double ema_decay = 0;
  Schedule schedule;
  // One per tensor of the table; empty: rates of 1, weight_decay on matrices, nothing frozen.
  std::vector<TensorRule> rules;
};

// From a resolved spec (all fields present). InvalidArgument as ResolveTensorRules.
absl::StatusOr<OptimizerOptions> ResolveOptimizerOptions(const v1::OptimizerSpec& optimizer,
                                                         const v1::ScheduleSpec& schedule,
                                                         const ParameterTable& table);

// Neighbours in the flat array that are updated alike, gaps included.
struct UpdateRange {
  size_t begin = 0, end = 0;
  TensorRule rule;

  bool operator==(const UpdateRange&) const = default;
};

// All of the table, in order.
std::vector<UpdateRange> UpdateRanges(const ParameterTable& table, const OptimizerOptions& options);

struct UpdateResult {
  // Before clipping; may be non-finite when skipped.
  double gradient_norm = 0;
  double learning_rate = 0;
  // exp of the logit scale's parameter after the update; 0 with a classification loss.
  double logit_scale = 0;
  // Nothing was changed, because the gradient is not finite.
  bool skipped = false;
};

// Clips the gradient to clip_norm, applies one AdamW update to all parameters that are not frozen,
// clamps the logit scale's parameter at ln(100), and moves the average towards the new weights.
// Gradients of frozen tensors become 0 first. Leaves everything as it is, and says so, when the
// gradient's norm is not finite. The result depends on the state's bits alone.
UpdateResult ApplyUpdate(const ParameterTable& table, const OptimizerOptions& options,
                         double learning_rate, ModelState* state, kernels::ThreadPool& pool);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_OPTIMIZER_H_
