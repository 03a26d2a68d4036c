// Rows to unit length: y = x / max(‖x‖, eps).
#ifndef NAVIT_KERNELS_L2_NORMALIZE_H_
#define NAVIT_KERNELS_L2_NORMALIZE_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// x, y [rows, dim]; inv_norm [rows] = 1/max(‖x‖, eps), saved for the backward pass. y may alias x.
// Tolerance of _cpu against _ref: 1e-5 relative.
struct L2NormalizeForwardArgs {
  int64_t rows = 0, dim = 0;
  float eps = 1e-6f;
  const float* x = nullptr;
  float* y = nullptr;
  float* inv_norm = nullptr;
};

// dx = inv_norm·(dy − y·(y·dy)), and inv_norm·dy for a row whose norm was below eps. `y` is the
// output of the forward pass. dx is assigned and may alias dy.
struct L2NormalizeBackwardArgs {
  int64_t rows = 0, dim = 0;
  float eps = 1e-6f;
  const float* y = nullptr;
  const float* inv_norm = nullptr;
  const float* dy = nullptr;
  float* dx = nullptr;
};

void L2NormalizeForward(const L2NormalizeForwardArgs& args, ThreadPool& pool);
void L2NormalizeBackward(const L2NormalizeBackwardArgs& args, ThreadPool& pool);

namespace ref {
void L2NormalizeForward(const L2NormalizeForwardArgs& args);
void L2NormalizeBackward(const L2NormalizeBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_L2_NORMALIZE_H_
