// Learned position embedding read by a filter: each token's value is a weighted sum over one table
// [table_rows, table_rows, dim], with weights that are products of one for the row and one for the
// column. So a table that was resized to an image's grid is read without making it.
#ifndef NAVIT_KERNELS_RESAMPLED_TABLE_H_
#define NAVIT_KERNELS_RESAMPLED_TABLE_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// x[t, :] += sum over r, c of weights[t, 0, r] weights[t, 1, c] table[r, c, :].
//   x        [tokens, dim]             updated in place
//   weights  [tokens, 2, table_rows]   of rows, then of columns; zeros cost nothing
//   table    [table_rows, table_rows, dim]
// _cpu equals _ref to 1e-5 of the largest operand.
struct ResampledTableForwardArgs {
  int64_t tokens = 0, dim = 0, table_rows = 0;
  const float* weights = nullptr;
  const float* table = nullptr;
  float* x = nullptr;
};

// Adds to dtable, over t in ascending order. The gradient with respect to x is dx itself.
struct ResampledTableBackwardArgs {
  int64_t tokens = 0, dim = 0, table_rows = 0;
  const float* weights = nullptr;
  const float* dx = nullptr;
  float* dtable = nullptr;
};

void ResampledTableForward(const ResampledTableForwardArgs& args, ThreadPool& pool);
void ResampledTableBackward(const ResampledTableBackwardArgs& args, ThreadPool& pool);

namespace ref {
void ResampledTableForward(const ResampledTableForwardArgs& args);
void ResampledTableBackward(const ResampledTableBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_RESAMPLED_TABLE_H_
