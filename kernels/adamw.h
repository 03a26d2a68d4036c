// AdamW in torch's convention (decay multiplied by the learning rate), and what clipping needs,
// over flat memory.
#ifndef NAVIT_KERNELS_ADAMW_H_
#define NAVIT_KERNELS_ADAMW_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// One range of the flat buffers whose elements share weight_decay:
//   g = grad·grad_scale;  p −= lr·weight_decay·p
//   m = β1·m + (1 − β1)·g;  v = β2·v + (1 − β2)·g²
//   p −= lr·(m/(1 − β1^step)) / (√(v/(1 − β2^step)) + eps)
// All [count], updated in place; grad is only read. Tolerance of _cpu against _ref: 1e-6 relative.
struct AdamWArgs {
  int64_t count = 0;
  float* param = nullptr;
  const float* grad = nullptr;
  float* m = nullptr;
  float* v = nullptr;
  int64_t step = 1;  // from 1: the number of updates including this one
  double lr = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0;  // 0 for gains, biases, tables, probe, temperature
  double grad_scale = 1;    // the factor of clipping by the global norm
};

void AdamW(const AdamWArgs& args, ThreadPool& pool);

// Σ x² in double. The order of the sum depends on `count` only. NaN and infinity propagate.
double SumSquares(const float* x, int64_t count, ThreadPool& pool);

// x *= factor.
void Scale(float* x, int64_t count, float factor, ThreadPool& pool);

namespace ref {
void AdamW(const AdamWArgs& args);
double SumSquares(const float* x, int64_t count);
void Scale(float* x, int64_t count, float factor);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_ADAMW_H_
