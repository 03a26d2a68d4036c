// Position embedding by waves over the plane: sinusoidal (fixed frequencies) and Fourier (learned
// ones; NaViT, appendix A, after Tancik et al., arXiv 2006.10739).
#ifndef NAVIT_KERNELS_POSITION_WAVES_H_
#define NAVIT_KERNELS_POSITION_WAVES_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// With K = dim / 2 and phase[t, k] = scale * (coordinates[t] . frequencies[k]):
//   x[t, k] += sin(phase[t, k]);  x[t, K + k] += cos(phase[t, k])
//   x            [tokens, dim]   updated in place; dim even
//   coordinates  [tokens, 2]     row, column
//   frequencies  [dim / 2, 2]
// Tolerance of _cpu against _ref: 2e-6 + 1e-7 * |phase|, for |phase| up to 30,000.
struct PositionWavesForwardArgs {
  int64_t tokens = 0, dim = 0;
  float scale = 1;
  const float* coordinates = nullptr;
  const float* frequencies = nullptr;
  float* x = nullptr;
};

// dfrequencies [dim / 2, 2] += gradients, over t in ascending order. That of x is dx itself.
struct PositionWavesBackwardArgs {
  int64_t tokens = 0, dim = 0;
  float scale = 1;
  const float* coordinates = nullptr;
  const float* frequencies = nullptr;
  const float* dx = nullptr;
  float* dfrequencies = nullptr;
};

void PositionWavesForward(const PositionWavesForwardArgs& args, ThreadPool& pool);
void PositionWavesBackward(const PositionWavesBackwardArgs& args, ThreadPool& pool);

namespace ref {
void PositionWavesForward(const PositionWavesForwardArgs& args);
void PositionWavesBackward(const PositionWavesBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_POSITION_WAVES_H_
