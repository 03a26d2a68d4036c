// Sums over rows, for the gradients of biases and gains.
#ifndef NAVIT_KERNELS_COLUMN_SUM_H_
#define NAVIT_KERNELS_COLUMN_SUM_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// sum[d] += Σ_r a[r·a_row + d]·b[r·b_row + d]·w[r·w_row], d in [0, dim). Null b and w stand for
// ones. The order of the sum depends on `rows` alone: blocks of 128 rows, summed in row order.
struct ColumnSumArgs {
  int64_t rows = 0, dim = 0;
  const float* a = nullptr;
  int64_t a_row = 0;
  const float* b = nullptr;
  int64_t b_row = 0;
  const float* w = nullptr;
  int64_t w_row = 1;
  float* sum = nullptr;
};

void ColumnSum(const ColumnSumArgs& args);
void ColumnSum(const ColumnSumArgs& args, ThreadPool& pool);

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_COLUMN_SUM_H_
