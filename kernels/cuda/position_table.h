// position_table.h (kernels/) on a GPU, for the combinations that add rows of tables (sum, stack,
// joint): one table at a time, of which each token takes up to four rows with weights. The backward
// pass is scatter_rows.h with the same selections.
#ifndef NAVIT_KERNELS_CUDA_POSITION_TABLE_H_
#define NAVIT_KERNELS_CUDA_POSITION_TABLE_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// The rows of one table that a token takes; a weight of 0 leaves the row unread.
struct alignas(16) PositionTaps {
  int32_t row[4] = {};
  float weight[4] = {};
};

// x[t, offset + d] += Σ weight·table[row, d] over the taps of t, d in [0, dim). x [tokens, stride]
// bf16, table fp32. Sum: two calls, for rows and for columns, with dim = stride; stack: with dim =
// stride / 2 and offsets 0 and dim; joint: one call with four taps. Tolerance: 1 bf16 ulp of x and
// of the sum.
struct PositionTableForwardArgs {
  int64_t tokens = 0, dim = 0, stride = 0, offset = 0;
  const PositionTaps* taps = nullptr;
  const float* table = nullptr;
  Bf16* x = nullptr;
};

LaunchError PositionTableForward(const PositionTableForwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_POSITION_TABLE_H_
