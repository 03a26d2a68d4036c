// rms_norm.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_RMS_NORM_H_
#define NAVIT_KERNELS_CUDA_RMS_NORM_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// y = x·inv_rms·gain, inv_rms = 1/√(mean(x²) + eps). x, y [rows, dim] bf16; gain [dim] and inv_rms
// [rows] fp32. y may alias x. A row's bits depend on that row alone. Device memory, 16-byte
// aligned. Tolerance against _ref on the same bf16 input: 2^-8 relative for y, 1e-5 for inv_rms.
struct RmsNormForwardArgs {
  int64_t rows = 0, dim = 0;
  float eps = 1e-6f;
  const Bf16* x = nullptr;
  const float* gain = nullptr;
  Bf16* y = nullptr;
  float* inv_rms = nullptr;  // null: not saved
};

// dx = inv_rms·(gain·dy − x̂·mean(gain·dy·x̂)), x̂ = x·inv_rms; dgain[d] += Σ_rows dy·x̂, in an order
// that depends on rows and dim alone. dx may alias dy unless `accumulate`. dim is at most 8192.
// Tolerance: 2^-7 of the largest element.
struct RmsNormBackwardArgs {
  int64_t rows = 0, dim = 0;
  const Bf16* x = nullptr;
  const float* gain = nullptr;
  const float* inv_rms = nullptr;
  const Bf16* dy = nullptr;
  Bf16* dx = nullptr;
  float* dgain = nullptr;
  float* partial = nullptr;  // working memory, [ColumnSumSlabs(rows), dim]
  bool accumulate = false;   // dx += instead of dx =, which joins the residual branch
};

LaunchError RmsNormForward(const RmsNormForwardArgs& args, Stream stream);
LaunchError RmsNormBackward(const RmsNormBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_RMS_NORM_H_
