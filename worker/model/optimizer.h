// AdamW over flat buffers, gradient clipping and the learning-rate schedule.
#ifndef NAVIT_WORKER_MODEL_OPTIMIZER_H_
#define NAVIT_WORKER_MODEL_OPTIMIZER_H_

#include "kernels/thread_pool.h"
#include "proto/job_spec.pb.h"
#include "worker/model/parameters.h"

namespace navit {

struct OptimizerOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  // Inside the learning rate, as in torch: w -= lr * weight_decay * w.
  double weight_decay = 0.1;
  // Global gradient norm is scaled down to this; 0 turns clipping off.
  double clip_norm = 1.0;
  bool cosine = true;
  double warmup_fraction = 0.05;
};

// From a resolved spec (all fields present).
OptimizerOptions ResolveOptimizerOptions(const v1::OptimizerSpec& optimizer,
                                         const v1::ScheduleSpec& schedule);

// Learning rate at `progress` in [0, 1] of the training: from zero linearly to lr over
// warmup_fraction, then constant or half a cosine down to zero.
double LearningRate(const OptimizerOptions& options, double progress);

struct UpdateResult {
  // Before clipping; may be non-finite when skipped.
  double gradient_norm = 0;
  double learning_rate = 0;
  // exp of the logit scale's parameter after the update.
  double logit_scale = 0;
  // Nothing was changed, because the gradient is not finite.
  bool skipped = false;
};

// Clips the gradient to clip_norm, applies one AdamW update to all parameters and clamps the logit
// scale's parameter at ln(100). Leaves everything as it is, and says so, when the gradient's norm
// is not finite. The result depends on the state's bits alone.
UpdateResult ApplyUpdate(const ParameterTable& table, const OptimizerOptions& options,
                         double learning_rate, ModelState* state, kernels::ThreadPool& pool);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_OPTIMIZER_H_
