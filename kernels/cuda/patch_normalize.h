// patch_normalize.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_PATCH_NORMALIZE_H_
#define NAVIT_KERNELS_CUDA_PATCH_NORMALIZE_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// y = (x/255 − mean[c]) / std[c], c = index mod 3, over [tokens, patch_values], patch_values a
// multiple of 3. x and y are device memory, 16-byte aligned. Within 1 bf16 ulp of the reference.
struct PatchNormalizeArgs {
  int64_t tokens = 0, patch_values = 0;
  const uint8_t* x = nullptr;
  float mean[3] = {0.5f, 0.5f, 0.5f};
  float std[3] = {0.5f, 0.5f, 0.5f};
  Bf16* y = nullptr;
};

LaunchError PatchNormalize(const PatchNormalizeArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_PATCH_NORMALIZE_H_
