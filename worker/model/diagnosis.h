// What the inside of a step looks like, for people who look for what does not learn. Nothing of it
// is computed in a step that nobody asks about.
#ifndef NAVIT_WORKER_MODEL_DIAGNOSIS_H_
#define NAVIT_WORKER_MODEL_DIAGNOSIS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/model/block.h"
#include "worker/model/config.h"

namespace navit {

struct StepDiagnosis {
  // By block, as "image.blocks.3": the largest q·k / √head_dim that attention took a softmax of.
  // Beyond some 50 a softmax is a choice of one token, and passes on no gradient.
  std::vector<std::pair<std::string, double>> attention_logits;
  // EmbeddingSpread of this rank's examples.
  double image_spread = 0;
  double text_spread = 0;
};

// Mean squared distance of rows [n, dim] of unit length from their mean, 1 - |mean|², in [0, 1]:
// 0 when all are the same, close to 1 when they point everywhere. 0 without rows.
double EmbeddingSpread(absl::Span<const float> rows, int64_t dim);

// The largest logit of a block over all heads, from its activations after the forward pass. Looks
// at the first segments of `cu_seqlens` [S + 1] (prefix tokens counted), at least one, until they
// have had kLargestLogitPairs pairs of tokens.
inline constexpr int64_t kLargestLogitPairs = int64_t{1} << 16;
double LargestAttentionLogit(const TowerConfig& tower, absl::Span<const int32_t> cu_seqlens,
                             const BlockActivations<>& activations, kernels::ThreadPool& pool);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DIAGNOSIS_H_
