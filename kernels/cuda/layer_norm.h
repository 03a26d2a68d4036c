// layer_norm.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_LAYER_NORM_H_
#define NAVIT_KERNELS_CUDA_LAYER_NORM_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// y = x̂·gain + bias, x̂ = x·inv_std + shift. x, y [rows, dim] bf16; gain, bias [dim], inv_std, shift
// [rows] fp32. y may alias x (then there is no backward pass). A row's bits depend on that row
// alone. Device memory, 16-byte aligned. Tolerance against _ref on the same bf16 input: 2^-8 of the
// largest of |x̂·gain|, |bias| and 1 for y; 1e-5 for inv_std and shift.
struct LayerNormForwardArgs {
  int64_t rows = 0, dim = 0;
  float eps = 1e-6f;
  const Bf16* x = nullptr;
  const float* gain = nullptr;
  const float* bias = nullptr;
  Bf16* y = nullptr;
  float* inv_std = nullptr;  // null: neither is saved
  float* shift = nullptr;
};

// With g = gain·dy: dx = inv_std·(g − mean(g) − x̂·mean(g·x̂)); dgain[d] += Σ_rows dy·x̂ and
// dbias[d] += Σ_rows dy, in an order that depends on rows and dim alone. dx may alias dy unless
// `accumulate`. dim is at most 8192. Tolerance: 2^-7 of the largest element.
struct LayerNormBackwardArgs {
  int64_t rows = 0, dim = 0;
  const Bf16* x = nullptr;
  const float* gain = nullptr;
  const float* inv_std = nullptr;
  const float* shift = nullptr;
  const Bf16* dy = nullptr;
  Bf16* dx = nullptr;
  float* dgain = nullptr;
  float* dbias = nullptr;
  float* partial = nullptr;  // working memory, [2, ColumnSumSlabs(rows), dim]
  bool accumulate = false;   // dx += instead of dx =, which joins the residual branch
};

LaunchError LayerNormForward(const LayerNormForwardArgs& args, Stream stream);
LaunchError LayerNormBackward(const LayerNormBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_LAYER_NORM_H_
