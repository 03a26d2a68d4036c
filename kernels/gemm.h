// Matrix multiplication in fp32, the engine of the linear layers and of attention:
//   C = A·B (+ bias) or C += A·B (+ bias).
//
// Own code rather than oneDNN's sgemm because of one guarantee that the latter does not give: an
// element C(i, j) has the same bits whatever m, n and the other rows and columns are. It is always
// the sum over k in ascending order, in blocks of a fixed length, of fused multiply-adds. (oneDNN
// 2.6 uses other kernels for the last rows of a call, which round otherwise.)
#ifndef NAVIT_KERNELS_GEMM_H_
#define NAVIT_KERNELS_GEMM_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// A(i, p) = a[i·a_row + p·a_k], m × k; B(p, j) = b[p·b_k + j·b_column], k × n; C(i, j) = c[i·c_row
// + j], m × n. One stride of A and one of B is 1. C aliases neither A nor B. k = 0 gives C = bias.
struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t a_row = 0, a_k = 1;
  const float* b = nullptr;
  int64_t b_k = 0, b_column = 1;
  float* c = nullptr;
  int64_t c_row = 0;
  const float* bias = nullptr;  // [n], null: none
  bool accumulate = false;
};

// Cut into blocks of rows and columns, never along k, over the pool. Keeps less than 1 MiB of
// buffers per thread.
void Gemm(const GemmArgs& args, ThreadPool& pool);

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_GEMM_H_
