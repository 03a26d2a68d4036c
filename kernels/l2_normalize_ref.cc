#include <algorithm>
#include <cmath>

#include "kernels/l2_normalize.h"

namespace navit::kernels::ref {

void L2NormalizeForward(const L2NormalizeForwardArgs& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.dim;
    double sum = 0;
    for (int64_t d = 0; d < args.dim; ++d) sum += static_cast<double>(x[d]) * x[d];
    const double inv_norm = 1 / std::max(std::sqrt(sum), static_cast<double>(args.eps));
    for (int64_t d = 0; d < args.dim; ++d) {
      args.y[r * args.dim + d] = static_cast<float>(x[d] * inv_norm);
    }
    args.inv_norm[r] = static_cast<float>(inv_norm);
  }
}

void L2NormalizeBackward(const L2NormalizeBackwardArgs& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* y = args.y + r * args.dim;
    const float* dy = args.dy + r * args.dim;
    const double inv_norm = args.inv_norm[r];
    double dot = 0;
    // A clamped norm is a constant: only the scaling has a gradient.
    const bool clamped = args.inv_norm[r] >= 1 / args.eps;
    for (int64_t d = 0; d < args.dim && !clamped; ++d) dot += static_cast<double>(y[d]) * dy[d];
    for (int64_t d = 0; d < args.dim; ++d) {
      args.dx[r * args.dim + d] = static_cast<float>(inv_norm * (dy[d] - y[d] * dot));
    }
  }
}

}  // namespace navit::kernels::ref
