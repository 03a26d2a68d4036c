#include <cmath>
#include <vector>

#include "kernels/layer_norm.h"

namespace navit::kernels::ref {

void LayerNormForward(const LayerNormForwardArgs& args) {
  const int64_t dim = args.dim;
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * dim;
    double mean = 0, variance = 0;
    for (int64_t d = 0; d < dim; ++d) mean += static_cast<double>(x[d]) / dim;
    for (int64_t d = 0; d < dim; ++d) variance += (x[d] - mean) * (x[d] - mean) / dim;
    const double inv_std = 1 / std::sqrt(variance + args.eps);
    for (int64_t d = 0; d < dim; ++d) {
      args.y[r * dim + d] =
          static_cast<float>((x[d] - mean) * inv_std * args.gain[d] + args.bias[d]);
    }
    if (args.inv_std == nullptr) continue;
    args.inv_std[r] = static_cast<float>(inv_std);
    args.shift[r] = static_cast<float>(-mean * inv_std);
  }
}

void LayerNormBackward(const LayerNormBackwardArgs& args) {
  const int64_t dim = args.dim;
  std::vector<double> dgain(dim, 0), dbias(dim, 0);
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* dy = args.dy + r * dim;
    float* dx = args.dx + r * dim;
    const auto unit = [&](int64_t d) {
      return static_cast<double>(args.x[r * dim + d]) * args.inv_std[r] + args.shift[r];
    };
    double mean_g = 0, mean_gx = 0;
    for (int64_t d = 0; d < dim; ++d) {
      const double g = static_cast<double>(args.gain[d]) * dy[d];
      mean_g += g / dim;
      mean_gx += g * unit(d) / dim;
      dgain[d] += dy[d] * unit(d);
      dbias[d] += dy[d];
    }
    for (int64_t d = 0; d < dim; ++d) {
      const double g = static_cast<double>(args.gain[d]) * dy[d];
      const double value = args.inv_std[r] * (g - mean_g - unit(d) * mean_gx);
      dx[d] = static_cast<float>(args.accumulate ? dx[d] + value : value);
    }
  }
  for (int64_t d = 0; d < dim; ++d) {
    args.dgain[d] += static_cast<float>(dgain[d]);
    args.dbias[d] += static_cast<float>(dbias[d]);
  }
}

}  // namespace navit::kernels::ref
