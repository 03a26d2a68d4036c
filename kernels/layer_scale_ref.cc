#include "kernels/layer_scale.h"

namespace navit::kernels::ref {

void LayerScaleForward(const LayerScaleForwardArgs& args) {
  for (int64_t i = 0; i < args.rows * args.dim; ++i) {
    const double scaled = static_cast<double>(args.gain[i % args.dim]) * args.x[i];
    args.y[i] = static_cast<float>(args.y[i] + scaled);
  }
}

void LayerScaleBackward(const LayerScaleBackwardArgs& args) {
  for (int64_t d = 0; d < args.dim; ++d) {
    double sum = 0;
    for (int64_t r = 0; r < args.rows; ++r) {
      const int64_t i = r * args.dim + d;
      args.dx[i] = args.gain[d] * args.dy[i];
      sum += static_cast<double>(args.dy[i]) * args.x[i];
    }
    args.dgain[d] += static_cast<float>(sum);
  }
}

}  // namespace navit::kernels::ref
