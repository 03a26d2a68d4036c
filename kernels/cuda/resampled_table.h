// resampled_table.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_RESAMPLED_TABLE_H_
#define NAVIT_KERNELS_CUDA_RESAMPLED_TABLE_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// x[t, :] += Σ_r Σ_c weights[t, 0, r]·weights[t, 1, c]·table[r, c, :]. x [tokens, dim] bf16, in
// place; weights [tokens, 2, table_rows] and table [table_rows, table_rows, dim] fp32, device
// memory, 16-byte aligned. Weights of zero cost a look. Tolerance against _ref: 1 bf16 ulp of x and
// of the sum.
struct ResampledTableForwardArgs {
  int64_t tokens = 0, dim = 0, table_rows = 0;
  const float* weights = nullptr;
  const float* table = nullptr;
  Bf16* x = nullptr;
};

// Adds to dtable fp32, over t in ascending order, without atomics. dx bf16. Tolerance: 1e-5 of the
// sum of absolute terms.
struct ResampledTableBackwardArgs {
  int64_t tokens = 0, dim = 0, table_rows = 0;
  const float* weights = nullptr;
  const Bf16* dx = nullptr;
  float* dtable = nullptr;
};

LaunchError ResampledTableForward(const ResampledTableForwardArgs& args, Stream stream);
LaunchError ResampledTableBackward(const ResampledTableBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_RESAMPLED_TABLE_H_
