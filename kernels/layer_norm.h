// LayerNorm over rows (arXiv 1607.06450): y = x̂·gain + bias, x̂ = (x − mean(x))·inv_std,
// inv_std = 1/√(variance(x) + eps), the variance being the mean of squares.
#ifndef NAVIT_KERNELS_LAYER_NORM_H_
#define NAVIT_KERNELS_LAYER_NORM_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// x, y [rows, dim]; gain, bias [dim]; inv_std, shift [rows], saved for the backward pass:
// x̂ = x·inv_std + shift. y may alias x (then there is no backward pass). A row's bits depend on
// that row alone.
// Tolerance of _cpu against _ref: 1e-5 relative.
struct LayerNormForwardArgs {
  int64_t rows = 0, dim = 0;
  float eps = 1e-6f;
  const float* x = nullptr;
  const float* gain = nullptr;
  const float* bias = nullptr;
  float* y = nullptr;
  float* inv_std = nullptr;  // null: neither is saved
  float* shift = nullptr;
};

// With g = gain·dy: dx = inv_std·(g − mean(g) − x̂·mean(g·x̂)); dgain[d] += Σ_rows dy·x̂;
// dbias[d] += Σ_rows dy. dx may alias dy unless `accumulate`. The order of the sums over rows
// depends on `rows` only.
struct LayerNormBackwardArgs {
  int64_t rows = 0, dim = 0;
  const float* x = nullptr;
  const float* gain = nullptr;
  const float* inv_std = nullptr;
  const float* shift = nullptr;
  const float* dy = nullptr;
  float* dx = nullptr;
  float* dgain = nullptr;
  float* dbias = nullptr;
  bool accumulate = false;  // dx += instead of dx =, which joins the residual branch
};

void LayerNormForward(const LayerNormForwardArgs& args, ThreadPool& pool);
void LayerNormBackward(const LayerNormBackwardArgs& args, ThreadPool& pool);

namespace ref {
void LayerNormForward(const LayerNormForwardArgs& args);
void LayerNormBackward(const LayerNormBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_LAYER_NORM_H_
