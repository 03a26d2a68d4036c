// Linear layer: y = x·Wᵀ + b, and its gradients. All matrices are row-major and dense:
//   x, dx    [rows, in]
//   y, dy    [rows, out]
//   weight, dweight  [out, in]
//   bias, dbias      [out]
// No argument may alias another. rows may be 0; in and out are at least 1.
//
// Row r of y (and of dx) depends on row r of x (dy) alone, bit for bit: not on `rows`, r or the
// number of threads. This is what makes the embedding of a packed image equal that of the image
// alone. Weight gradients are sums over rows whose order depends on `rows` only.
//
// Tolerance of _cpu against _ref: 2e-6·√K relative to Σ|x·w|, K the length of the sum.
#ifndef NAVIT_KERNELS_LINEAR_H_
#define NAVIT_KERNELS_LINEAR_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

struct LinearForwardArgs {
  int64_t rows = 0, in = 0, out = 0;
  const float* x = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;  // null: none
  float* y = nullptr;
  bool accumulate = false;  // y += instead of y =, which adds a residual branch in place
};

struct LinearBackwardInputArgs {
  int64_t rows = 0, in = 0, out = 0;
  const float* dy = nullptr;
  const float* weight = nullptr;
  float* dx = nullptr;
  bool accumulate = false;  // dx += instead of dx =
};

// dweight += dyᵀ·x; dbias += column sums of dy.
struct LinearBackwardWeightArgs {
  int64_t rows = 0, in = 0, out = 0;
  const float* x = nullptr;
  const float* dy = nullptr;
  float* dweight = nullptr;
  float* dbias = nullptr;  // null: none
};

void LinearForward(const LinearForwardArgs& args, ThreadPool& pool);
void LinearBackwardInput(const LinearBackwardInputArgs& args, ThreadPool& pool);
void LinearBackwardWeight(const LinearBackwardWeightArgs& args, ThreadPool& pool);

namespace ref {
void LinearForward(const LinearForwardArgs& args);
void LinearBackwardInput(const LinearBackwardInputArgs& args);
void LinearBackwardWeight(const LinearBackwardWeightArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_LINEAR_H_
