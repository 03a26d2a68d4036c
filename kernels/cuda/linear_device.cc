#include <cublasLt.h>
#include <cuda_runtime.h>

#include <string>

#include "kernels/cuda/linear_candidates.h"

namespace navit::kernels::cuda {

LinearDevice CurrentLinearDevice() {
  LinearDevice device;
  device.cublaslt = static_cast<int64_t>(cublasLtGetVersion());
  int ordinal = 0;
  cudaDeviceProp properties;
  if (cudaGetDevice(&ordinal) == cudaSuccess &&
      cudaGetDeviceProperties(&properties, ordinal) == cudaSuccess) {
    device.name = properties.name;
    device.capability = std::to_string(properties.major) + "." + std::to_string(properties.minor);
  }
  return device;
}

}  // namespace navit::kernels::cuda
