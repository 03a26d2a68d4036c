// adamw.h (kernels/) on a GPU: fp32 master weights, moments and gradients, and the bf16 weights
// that the layers read, in one pass: 30 bytes per parameter.
#ifndef NAVIT_KERNELS_CUDA_ADAMW_H_
#define NAVIT_KERNELS_CUDA_ADAMW_H_

#include <cstdint>
#include <vector>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// Elements [begin, end) of the flat buffers are updated alike.
struct AdamWRange {
  int64_t begin = 0, end = 0;
  double lr_scale = 1;  // factor of the learning rate
  double weight_decay = 0;
};

// What one block updates: at most kAdamWPiece elements of one range.
inline constexpr int32_t kAdamWPiece = 4096;
struct alignas(32) AdamWPiece {
  int64_t begin = 0;
  int32_t count = 0;
  float lr_scale = 1;
  float weight_decay = 0;
};

// The pieces of all ranges, which do not overlap and may be empty; what lies in none is never
// touched. Drawn up on the host once, since ranges are the same in every step.
std::vector<AdamWPiece> MakeAdamWPieces(const std::vector<AdamWRange>& ranges);

// One update of all pieces, in one launch; the formulas are those of kernels/adamw.h. `piece`
// [pieces] is MakeAdamWPieces' array; the flat buffers hold what the pieces name. All device
// memory. grad_scale is read on the device where the pointer is given, so that clipping needs no
// answer from it. Tolerance: 1e-6 relative to max(|p|, lr).
struct AdamWArgs {
  int64_t pieces = 0;
  const AdamWPiece* piece = nullptr;
  float* param = nullptr;
  const float* grad = nullptr;
  float* m = nullptr;
  float* v = nullptr;
  Bf16* weight = nullptr;  // param as rounded; null: none
  int64_t step = 1;
  double lr = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  const float* grad_scale = nullptr;  // one value; null: 1
};

LaunchError AdamW(const AdamWArgs& args, Stream stream);

// *norm = √Σ x², and *scale = min(1, max_norm / *norm), 1 where max_norm <= 0: the factor of
// clipping. `partial` [kGradientNormBlocks] is working memory. The order of the sum depends on
// `count` alone. A norm that is not finite gives a scale that is not a number.
inline constexpr int64_t kGradientNormBlocks = 256;
struct GradientNormArgs {
  int64_t count = 0;
  const float* grad = nullptr;
  float max_norm = 0;
  double* partial = nullptr;
  float* norm = nullptr;
  float* scale = nullptr;
};

LaunchError GradientNorm(const GradientNormArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_ADAMW_H_
