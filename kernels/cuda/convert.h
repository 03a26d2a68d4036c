// Between the two widths of numbers on a GPU.
#ifndef NAVIT_KERNELS_CUDA_CONVERT_H_
#define NAVIT_KERNELS_CUDA_CONVERT_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// to[i] = from[i], rounded to nearest even. Device memory, 16-byte aligned.
struct RoundArgs {
  int64_t count = 0;
  const float* from = nullptr;
  Bf16* to = nullptr;
};

LaunchError Round(const RoundArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_CONVERT_H_
