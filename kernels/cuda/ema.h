// ema.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_EMA_H_
#define NAVIT_KERNELS_CUDA_EMA_H_

#include <cstdint>

#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// average += (1 − decay)·(value − average), [count] fp32 in device memory, exactly where average
// equals value. Tolerance: 1e-6 relative.
struct EmaArgs {
  int64_t count = 0;
  double decay = 0;  // in [0, 1)
  const float* value = nullptr;
  float* average = nullptr;
};

LaunchError Ema(const EmaArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_EMA_H_
