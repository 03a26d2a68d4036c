// RMSNorm over rows (arXiv 1910.07467): y = x · inv_rms · gain, inv_rms = 1/√(mean(x²) + eps).
#ifndef NAVIT_KERNELS_RMS_NORM_H_
#define NAVIT_KERNELS_RMS_NORM_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// x, y [rows, dim]; gain [dim]; inv_rms [rows], saved for the backward pass. y may alias x (then
// there is no backward pass). A row's bits depend on that row alone.
// Tolerance of _cpu against _ref: 1e-5 relative.
struct RmsNormForwardArgs {
  int64_t rows = 0, dim = 0;
  float eps = 1e-6f;
  const float* x = nullptr;
  const float* gain = nullptr;
  float* y = nullptr;
  float* inv_rms = nullptr;  // null: not saved
};

// dx = inv_rms·(gain·dy − x̂·mean(gain·dy·x̂)), x̂ = x·inv_rms; dgain[d] += Σ_rows dy·x̂.
// dx may alias dy unless `accumulate`. The order of the sum over rows depends on `rows` only.
struct RmsNormBackwardArgs {
  int64_t rows = 0, dim = 0;
  const float* x = nullptr;
  const float* gain = nullptr;
  const float* inv_rms = nullptr;
  const float* dy = nullptr;
  float* dx = nullptr;
  float* dgain = nullptr;
  bool accumulate = false;  // dx += instead of dx =, which joins the residual branch
};

void RmsNormForward(const RmsNormForwardArgs& args, ThreadPool& pool);
void RmsNormBackward(const RmsNormBackwardArgs& args, ThreadPool& pool);

namespace ref {
void RmsNormForward(const RmsNormForwardArgs& args);
void RmsNormBackward(const RmsNormBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_RMS_NORM_H_
