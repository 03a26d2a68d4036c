// contrastive.h (kernels/) on a GPU: the softmax contrastive loss on one rank's strip of scores,
// which never exists as a whole: the products are the engine's, a chunk of rows at a time, fp32
// scores in the workspace between them and the kernels that read them. The steps over ranks are
// those of that header.
#ifndef NAVIT_KERNELS_CUDA_CONTRASTIVE_H_
#define NAVIT_KERNELS_CUDA_CONTRASTIVE_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear.h"

namespace navit::kernels::cuda {

// The strip of kernels/contrastive.h with x and y in bf16; dim is a multiple of 8. All arrays in
// device memory, x and y aligned to 16 bytes.
struct ContrastiveStrip {
  int64_t rows = 0, columns = 0, dim = 0;
  const Bf16* x = nullptr;  // [rows, dim]
  const Bf16* y = nullptr;  // [columns, dim]
  float scale = 1;
  const int64_t* positive = nullptr;      // [rows]
  const uint8_t* column_valid = nullptr;  // [columns]; null: all are valid
  const uint64_t* row_hash = nullptr;     // [rows]; null as column_hash: no captions are equal
  const uint64_t* column_hash = nullptr;  // [columns]
  bool equal_are_positive = false;        // EqualCaptions::kPositive, else kIgnored
  float positive_share = 1;
  const float* row_smooth = nullptr;     // [rows]; null as column_smooth: none
  const float* column_smooth = nullptr;  // [columns]
  // Rows worked on at a time: a multiple of 128. Memory grows with it; results differ in rounding
  // alone. With 44 · 128 rows the product of G with y has 132 tiles of 128 × 256 at dim 768, one
  // for each multiprocessor of an H100, and dy, which every chunk adds to, is seldom read.
  int64_t chunk = 5632;
};

// As kernels/contrastive.h, but for `max`, which is some number that is not below the maximum, with
// sum = Σ exp(z − max) at least 2^-87 wherever a pair counts: max + log(sum) is the same, and
// merges over ranks do not lose a row. One exponential per score feeds both sums, relative to the
// largest score around it; a row or column that this leaves with too little is summed again.
struct ContrastiveStatsArgs {
  ContrastiveStrip strip;
  LinearEngine* engine = nullptr;
  float* row_max = nullptr;         // [rows]
  float* row_sum = nullptr;         // [rows]
  float* column_max = nullptr;      // [columns]
  float* column_sum = nullptr;      // [columns]
  float* positive_score = nullptr;  // [rows]
  float* positive_part = nullptr;   // [rows]: 1 / positives of the row, 0 without; for backward
  float* smooth_score = nullptr;    // [rows]; null with the strip's smoothing
  void* workspace = nullptr;        // ContrastiveStatsWorkspace(strip) bytes, aligned to 16
};

// As kernels/contrastive.h. dx and dy in fp32, since parts of several ranks are added to dy. The
// products with G take it rounded to bf16. 8·rows·columns·dim operations with the statistics.
struct ContrastiveBackwardArgs {
  ContrastiveStrip strip;
  LinearEngine* engine = nullptr;
  const float* positive_part = nullptr;
  const float* row_lse = nullptr;
  const float* column_lse = nullptr;
  float row_weight = 0;
  float column_weight = 0;
  float* dx = nullptr;        // [rows, dim]
  float* dy = nullptr;        // [columns, dim]
  double* dscale = nullptr;   // one value
  void* workspace = nullptr;  // ContrastiveGradientWorkspace(strip) bytes, aligned to 16
};

// 4 and 6 bytes for each score of a chunk and little else. For 32k × 32k and the default chunk: 732
// MiB, 1056 MiB.
int64_t ContrastiveStatsWorkspace(const ContrastiveStrip& strip);
int64_t ContrastiveGradientWorkspace(const ContrastiveStrip& strip);

// Tolerance against _ref on the same bf16 input: lse and scores 1e-4 absolute at scales up to 100;
// dx and dy 2^-7 of the largest element; dscale 1e-4 of Σ |G·cosine|. The order of every sum is
// fixed by the strip's shape and chunk.
LaunchError ContrastiveStats(const ContrastiveStatsArgs& args, Stream stream);
LaunchError ContrastiveBackward(const ContrastiveBackwardArgs& args, Stream stream);

// As kernels/contrastive.h.
LaunchError RescaleSoftmaxSums(int64_t count, const float* old_max, const float* new_max,
                               float* sum, Stream stream);
LaunchError SoftmaxLogSum(int64_t count, const float* max, const float* sum, float* lse,
                          Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_CONTRASTIVE_H_
