// patch_normalize.h on a GPU.
#ifndef NAVIT_KERNELS_PATCH_NORMALIZE_CUDA_H_
#define NAVIT_KERNELS_PATCH_NORMALIZE_CUDA_H_

#include <cuda_runtime.h>

#include <cstdint>

namespace navit::kernels::cuda {

// y[i] = x[i]·slope[i mod 3] + offset[i mod 3] for i < count; slope = 1/(255·std), offset =
// −mean/std. x and y are device memory and do not overlap; count >= 0. Queued on `stream`; returns
// the error of the launch.
struct PatchNormalizeCudaArgs {
  int64_t count = 0;
  const uint8_t* x = nullptr;
  float slope[3] = {};
  float offset[3] = {};
  float* y = nullptr;
};

cudaError_t PatchNormalize(const PatchNormalizeCudaArgs& args, cudaStream_t stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_PATCH_NORMALIZE_CUDA_H_
