#include <cmath>

#include "kernels/position_waves.h"

namespace navit::kernels::ref {
namespace {

double Phase(float scale, const float* at, const float* frequency) {
  return scale *
         (static_cast<double>(at[0]) * frequency[0] + static_cast<double>(at[1]) * frequency[1]);
}

}  // namespace

void PositionWavesForward(const PositionWavesForwardArgs& args) {
  const int64_t half = args.dim / 2;
  for (int64_t t = 0; t < args.tokens; ++t) {
    float* x = args.x + t * args.dim;
    for (int64_t k = 0; k < half; ++k) {
      const double phase = Phase(args.scale, args.coordinates + 2 * t, args.frequencies + 2 * k);
      x[k] = static_cast<float>(x[k] + std::sin(phase));
      x[half + k] = static_cast<float>(x[half + k] + std::cos(phase));
    }
  }
}

void PositionWavesBackward(const PositionWavesBackwardArgs& args) {
  const int64_t half = args.dim / 2;
  for (int64_t k = 0; k < half; ++k) {
    double row = 0, column = 0;
    for (int64_t t = 0; t < args.tokens; ++t) {
      const float* at = args.coordinates + 2 * t;
      const float* dx = args.dx + t * args.dim;
      const double phase = Phase(args.scale, at, args.frequencies + 2 * k);
      const double dphase = args.scale * (std::cos(phase) * dx[k] - std::sin(phase) * dx[half + k]);
      row += dphase * at[0];
      column += dphase * at[1];
    }
    args.dfrequencies[2 * k] += static_cast<float>(row);
    args.dfrequencies[2 * k + 1] += static_cast<float>(column);
  }
}

}  // namespace navit::kernels::ref
