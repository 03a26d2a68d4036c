// The softmax contrastive loss over the examples of all ranks (DESIGN.md, section 5).
#ifndef NAVIT_WORKER_MODEL_CONTRASTIVE_LOSS_H_
#define NAVIT_WORKER_MODEL_CONTRASTIVE_LOSS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/collective.h"

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
  // Pairs with equal non-zero hashes, other than an example with itself, are left out of the sums;
  // otherwise they are negatives.
  bool ignore_equal_captions = true;
  // [n, dim], assigned: gradients of the loss over all ranks.
  absl::Span<float> dimages;
  absl::Span<float> dtexts;
};

struct ContrastiveLossResult {
  // Mean over the N examples of all ranks of (row cross-entropy + column cross-entropy) / 2; the
  // same bits on every rank; 0 when N is 0.
  double loss = 0;
  // N.
  int64_t examples = 0;
  // This rank's part of the gradient of the logit scale's parameter; the parts are to be summed.
  double dlogit_scale_parameter = 0;
};

// Every rank calls it at the same time. The N x N matrix of scores never exists: each rank walks
// its n x N strip in tiles. Memory is that of N embeddings and their gradients. Returns the
// collective's errors as they are.
absl::StatusOr<ContrastiveLossResult> ContrastiveLoss(const ContrastiveLossArgs& args,
                                                      Collective* collective,
                                                      kernels::ThreadPool& pool);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_CONTRASTIVE_LOSS_H_
