// l2_normalize.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_L2_NORMALIZE_H_
#define NAVIT_KERNELS_CUDA_L2_NORMALIZE_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// y = x·inv_norm, inv_norm [rows] = 1/max(‖x‖, eps), fp32. x, y [rows, dim] bf16; y may alias x.
// Tolerance: 2^-8 relative for y, 1e-5 for inv_norm.
struct L2NormalizeForwardArgs {
  int64_t rows = 0, dim = 0;
  float eps = 1e-6f;
  const Bf16* x = nullptr;
  Bf16* y = nullptr;
  float* inv_norm = nullptr;
};

// dx = inv_norm·(dy − y·(y·dy)), and inv_norm·dy for a row whose norm was below eps. dx may alias
// dy. Tolerance: 2^-7 of the largest element of a row.
struct L2NormalizeBackwardArgs {
  int64_t rows = 0, dim = 0;
  float eps = 1e-6f;
  const Bf16* y = nullptr;
  const float* inv_norm = nullptr;
  const Bf16* dy = nullptr;
  Bf16* dx = nullptr;
};

LaunchError L2NormalizeForward(const L2NormalizeForwardArgs& args, Stream stream);
LaunchError L2NormalizeBackward(const L2NormalizeBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_L2_NORMALIZE_H_
