// layer_scale.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_LAYER_SCALE_H_
#define NAVIT_KERNELS_CUDA_LAYER_SCALE_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// y += gain·x. x, y [rows, dim] bf16, gain [dim] fp32, device memory, 16-byte aligned; no aliasing.
// Tolerance against _ref on the same bf16 input: 2^-8 of the largest term.
struct LayerScaleForwardArgs {
  int64_t rows = 0, dim = 0;
  const Bf16* x = nullptr;
  const float* gain = nullptr;
  Bf16* y = nullptr;
};

// dx = gain·dy, assigned, not aliasing dy; dgain[d] += Σ_rows dy·x, in the order of column_sum.h.
struct LayerScaleBackwardArgs {
  int64_t rows = 0, dim = 0;
  const Bf16* x = nullptr;
  const float* gain = nullptr;
  const Bf16* dy = nullptr;
  Bf16* dx = nullptr;
  float* dgain = nullptr;
  float* partial = nullptr;  // working memory, [ColumnSumSlabs(rows), dim]
};

LaunchError LayerScaleForward(const LayerScaleForwardArgs& args, Stream stream);
LaunchError LayerScaleBackward(const LayerScaleBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_LAYER_SCALE_H_
