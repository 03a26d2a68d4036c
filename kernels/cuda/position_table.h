// position_table.h (kernels/) on a GPU. Of a table each token takes up to four rows with weights.
// The combinations that add rows (sum, stack, joint) are one call per table; the product has calls
// of its own. The backward pass is scatter_rows.h with the same selections.
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
// stride / 2 and offsets 0 and dim; joint: one call with four taps. Where dim is a multiple of 8, so
// are stride and offset, and x and table are 16-byte aligned. Tolerance: 1 bf16 ulp of x and of the
// sum.
struct PositionTableForwardArgs {
  int64_t tokens = 0, dim = 0, stride = 0, offset = 0;
  const PositionTaps* taps = nullptr;
  const float* table = nullptr;
  Bf16* x = nullptr;
};

LaunchError PositionTableForward(const PositionTableForwardArgs& args, Stream stream);

// x[t, d] += a(t, d)·b(t, d) with a and b = Σ weight·table[row, d] over the taps of t in each
// table. x [tokens, dim] bf16, tables [., dim] fp32, 16-byte aligned. Tolerance: 1 bf16 ulp of x and of the product.
struct PositionProductForwardArgs {
  int64_t tokens = 0, dim = 0;
  const PositionTaps* row_taps = nullptr;
  const PositionTaps* column_taps = nullptr;
  const float* row_table = nullptr;
  const float* column_table = nullptr;
  Bf16* x = nullptr;
};

// da(t, d) = dx[t, d]·b(t, d), what scatter_rows.h takes to the table of a: taps and table are
// those of b. dx, da [tokens, dim] bf16, 16-byte aligned, no aliasing. Tolerance: 2^-8 relative.
struct PositionProductBackwardArgs {
  int64_t tokens = 0, dim = 0;
  const PositionTaps* taps = nullptr;
  const float* table = nullptr;
  const Bf16* dx = nullptr;
  Bf16* da = nullptr;
};

LaunchError PositionProductForward(const PositionProductForwardArgs& args, Stream stream);
LaunchError PositionProductBackward(const PositionProductBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_POSITION_TABLE_H_
