// The contrastive losses over the examples of all ranks (DESIGN.md, section 5): softmax (InfoNCE,
// both directions) and sigmoid (SigLIP).
#ifndef NAVIT_WORKER_MODEL_CONTRASTIVE_LOSS_H_
#define NAVIT_WORKER_MODEL_CONTRASTIVE_LOSS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/job_spec.pb.h"
#include "worker/collective.h"
#include "worker/model/contrastive_kernels.h"

namespace navit {

// This rank's n examples; n may be 0 and may differ between ranks.
struct ContrastiveLossArgs {
  int64_t dim = 0;
  // [n, dim] of unit length; row i of both belongs to example i.
  absl::Span<const float> images;
  absl::Span<const float> texts;
  // [n]
  absl::Span<const uint64_t> caption_hashes;
  // Natural logarithm of the scale of the logits.
  float logit_scale_parameter = 0;
  // Added to the logits of the sigmoid loss.
  float logit_bias = 0;
  // SOFTMAX or SIGMOID.
  v1::LossSpec::Kind kind = v1::LossSpec::SOFTMAX;
  // What pairs with equal non-zero hashes, other than an example with itself, are.
  v1::LossSpec::EqualCaptions equal_captions = v1::LossSpec::IGNORE;
  // In [0, 1): this share of each target is spread over all pairs that count.
  float label_smoothing = 0;
  // [n, dim], assigned: gradients of the loss over all ranks.
  absl::Span<float> dimages;
  absl::Span<float> dtexts;
};

struct ContrastiveLossResult {
  // Softmax: mean over the N examples of all ranks of (row cross-entropy + column cross-entropy)
  // / 2. Sigmoid: sum over all pairs of the binary cross-entropy, over N. The same bits on every
  // rank; 0 when N is 0.
  double loss = 0;
  // N.
  int64_t examples = 0;
  // This rank's part of the gradient of the logit scale's parameter; the parts are to be summed.
  double dlogit_scale_parameter = 0;
  // The same of the bias; 0 for the softmax loss.
  double dlogit_bias = 0;
};

// Every rank calls it at the same time. The N x N matrix of scores never exists: each rank walks
// its n x N strip in tiles. Memory is that of N embeddings and their gradients. Returns
// errors of the collective and of `kernels` as they are.
absl::StatusOr<ContrastiveLossResult> ContrastiveLoss(const ContrastiveLossArgs& args,
                                                      Collective* collective,
                                                      ContrastiveKernels& kernels);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_CONTRASTIVE_LOSS_H_
