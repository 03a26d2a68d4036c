// position_waves.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_POSITION_WAVES_H_
#define NAVIT_KERNELS_CUDA_POSITION_WAVES_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// With K = dim / 2 and phase[t, k] = scale·(coordinates[t] · frequencies[k]):
//   x[t, k] += sin(phase[t, k]);  x[t, K + k] += cos(phase[t, k])
// x [tokens, dim] bf16, in place, dim even; coordinates [tokens, 2] and frequencies [dim / 2, 2]
// fp32, device memory. Tolerance against _ref: 1 bf16 ulp of x and of the sum, and 2e-7·|phase|.
struct PositionWavesForwardArgs {
  int64_t tokens = 0, dim = 0;
  float scale = 1;
  const float* coordinates = nullptr;
  const float* frequencies = nullptr;
  Bf16* x = nullptr;
};

// dfrequencies [dim / 2, 2] fp32 += gradients, by slabs of kWavesSlab tokens in order, then the
// slabs in order. Tolerance: 1e-5 of the sum of absolute terms, and their share of the phase's.
struct PositionWavesBackwardArgs {
  int64_t tokens = 0, dim = 0;
  float scale = 1;
  const float* coordinates = nullptr;
  const float* frequencies = nullptr;
  const Bf16* dx = nullptr;
  float* dfrequencies = nullptr;
  float* partial = nullptr;  // working memory, [WavesSlabs(tokens), dim]
};

inline constexpr int64_t kWavesSlab = 64;
inline constexpr int64_t WavesSlabs(int64_t tokens) {
  return (tokens + kWavesSlab - 1) / kWavesSlab;
}

LaunchError PositionWavesForward(const PositionWavesForwardArgs& args, Stream stream);
LaunchError PositionWavesBackward(const PositionWavesBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_POSITION_WAVES_H_
