#include <cmath>
#include <vector>

#include "kernels/rms_norm.h"

namespace navit::kernels::ref {

void RmsNormForward(const RmsNormForwardArgs& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.dim;
    float* y = args.y + r * args.dim;
    double sum = 0;
    for (int64_t d = 0; d < args.dim; ++d) sum += static_cast<double>(x[d]) * x[d];
    const double inv_rms = 1 / std::sqrt(sum / args.dim + args.eps);
    for (int64_t d = 0; d < args.dim; ++d) {
      y[d] = static_cast<float>(x[d] * inv_rms * args.gain[d]);
    }
    if (args.inv_rms != nullptr) args.inv_rms[r] = static_cast<float>(inv_rms);
  }
}

void RmsNormBackward(const RmsNormBackwardArgs& args) {
  std::vector<double> dgain(args.dim, 0);
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.dim;
    const float* dy = args.dy + r * args.dim;
    float* dx = args.dx + r * args.dim;
    const double inv_rms = args.inv_rms[r];
    double mean = 0;
    for (int64_t d = 0; d < args.dim; ++d) {
      mean += static_cast<double>(args.gain[d]) * dy[d] * x[d] * inv_rms;
      dgain[d] += static_cast<double>(dy[d]) * x[d] * inv_rms;
    }
    mean /= args.dim;
    for (int64_t d = 0; d < args.dim; ++d) {
      const double value =
          inv_rms * (static_cast<double>(args.gain[d]) * dy[d] - x[d] * inv_rms * mean);
      dx[d] = static_cast<float>(args.accumulate ? dx[d] + value : value);
    }
  }
  for (int64_t d = 0; d < args.dim; ++d) args.dgain[d] += static_cast<float>(dgain[d]);
}

}  // namespace navit::kernels::ref
