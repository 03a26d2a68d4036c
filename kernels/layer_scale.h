// LayerScale (arXiv 2103.17239): a residual branch times one learned gain per channel,
// y += gain·x.
#ifndef NAVIT_KERNELS_LAYER_SCALE_H_
#define NAVIT_KERNELS_LAYER_SCALE_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// x [rows, dim], y [rows, dim] added to; gain [dim]. No aliasing. A row's bits depend on that row
// alone. Tolerance of _cpu against _ref: 1e-6 relative to the largest term.
struct LayerScaleForwardArgs {
  int64_t rows = 0, dim = 0;
  const float* x = nullptr;
  const float* gain = nullptr;
  float* y = nullptr;
};

// dx = gain·dy, assigned, not aliasing dy; dgain[d] += Σ_rows dy·x, in an order that depends on
// `rows` only.
struct LayerScaleBackwardArgs {
  int64_t rows = 0, dim = 0;
  const float* x = nullptr;
  const float* gain = nullptr;
  const float* dy = nullptr;
  float* dx = nullptr;
  float* dgain = nullptr;
};

void LayerScaleForward(const LayerScaleForwardArgs& args, ThreadPool& pool);
void LayerScaleBackward(const LayerScaleBackwardArgs& args, ThreadPool& pool);

namespace ref {
void LayerScaleForward(const LayerScaleForwardArgs& args);
void LayerScaleBackward(const LayerScaleBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_LAYER_SCALE_H_
