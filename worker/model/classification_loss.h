// The classification losses over the examples of all ranks: softmax and sigmoid cross-entropy
// (kernels/classification.h), with label smoothing.
#ifndef NAVIT_WORKER_MODEL_CLASSIFICATION_LOSS_H_
#define NAVIT_WORKER_MODEL_CLASSIFICATION_LOSS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "proto/job_spec.pb.h"
#include "worker/collective.h"

namespace navit {

// This rank's n examples; n may be 0 and may differ between ranks.
struct ClassificationLossArgs {
  int64_t classes = 0;
  // [n, classes]
  absl::Span<const float> logits;
  // [n] in [0, classes).
  absl::Span<const int32_t> labels;
  // SOFTMAX_CLASSIFICATION or SIGMOID_CLASSIFICATION.
  v1::LossSpec::Kind kind = v1::LossSpec::SOFTMAX_CLASSIFICATION;
  // In [0, 1).
  float label_smoothing = 0;
  // [n, classes], assigned: gradients of the loss over all ranks.
  absl::Span<float> dlogits;
};

struct ClassificationLossResult {
  // Mean over the N examples of all ranks; the same bits on every rank; 0 when N is 0.
  double loss = 0;
  // N.
  int64_t examples = 0;
};

// Every rank calls it at the same time. Returns the collective's errors as they are.
absl::StatusOr<ClassificationLossResult> ClassificationLoss(const ClassificationLossArgs& args,
                                                            Collective* collective,
                                                            kernels::ThreadPool& pool);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_CLASSIFICATION_LOSS_H_
