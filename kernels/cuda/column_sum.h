// column_sum.h (kernels/) on a GPU: sums over rows, for the gradients of biases and gains.
#ifndef NAVIT_KERNELS_CUDA_COLUMN_SUM_H_
#define NAVIT_KERNELS_CUDA_COLUMN_SUM_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// sum[d] += Σ_r a[r·dim + d]·b[r·dim + d], d in [0, dim), in fp32; a null b stands for ones. a and b
// are 16-byte aligned. The order of the sum depends on `rows` alone: slabs of kColumnSumSlab rows
// one by one, then as AddRows. `partial` is working memory, [ColumnSumSlabs(rows), dim]. Tolerance:
// 1e-5 of the sum of absolute terms.
struct ColumnSumArgs {
  int64_t rows = 0, dim = 0;
  const Bf16* a = nullptr;
  const Bf16* b = nullptr;
  float* sum = nullptr;
  float* partial = nullptr;
};

inline constexpr int64_t kColumnSumSlab = 64;
inline constexpr int64_t ColumnSumSlabs(int64_t rows) {
  return (rows + kColumnSumSlab - 1) / kColumnSumSlab;
}

LaunchError ColumnSum(const ColumnSumArgs& args, Stream stream);

// sum[d] += Σ_r from[r·dim + d] over fp32 rows, in an order that depends on `rows` alone: the
// second half of ColumnSum, for kernels that make partial sums of their own.
LaunchError AddRows(int64_t rows, int64_t dim, const float* from, float* sum, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_COLUMN_SUM_H_
