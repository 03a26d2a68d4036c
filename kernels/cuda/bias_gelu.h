// bias_gelu.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_BIAS_GELU_H_
#define NAVIT_KERNELS_CUDA_BIAS_GELU_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// y = gelu(x + bias), tanh form or erf. x, y [rows, dim] bf16, bias [dim] fp32, 16-byte
// aligned; y may alias x. Tolerance: 2^-8·max(1, |x + bias|).
struct BiasGeluForwardArgs {
  int64_t rows = 0, dim = 0;
  const Bf16* x = nullptr;
  const float* bias = nullptr;
  Bf16* y = nullptr;
  bool erf = false;
};

// dx = dy·gelu'(x + bias), assigned, may alias dy; dbias [dim] += column sums of dx as rounded, in
// the order of column_sum.h. Tolerance of dx: 2^-8·max(1, |dy|).
struct BiasGeluBackwardArgs {
  int64_t rows = 0, dim = 0;
  const Bf16* x = nullptr;
  const float* bias = nullptr;
  const Bf16* dy = nullptr;
  Bf16* dx = nullptr;
  float* dbias = nullptr;
  float* partial = nullptr;  // working memory, [ColumnSumSlabs(rows), dim]
  bool erf = false;
};

LaunchError BiasGeluForward(const BiasGeluForwardArgs& args, Stream stream);
LaunchError BiasGeluBackward(const BiasGeluBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_BIAS_GELU_H_
