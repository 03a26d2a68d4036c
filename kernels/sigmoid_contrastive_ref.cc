#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/contrastive.h"
#include "kernels/sigmoid_contrastive.h"

namespace navit::kernels::ref {

void SigmoidContrastive(const SigmoidContrastiveArgs& args) {
  const ContrastiveStrip& strip = args.strip;
  std::vector<double> dx(strip.rows * strip.dim, 0), dy(strip.columns * strip.dim, 0);
  *args.loss = *args.dscale = *args.dbias = 0;
  for (int64_t i = 0; i < strip.rows; ++i) {
    for (int64_t j = 0; j < strip.columns; ++j) {
      if (!PairCounts(strip, i, j)) continue;
      double cosine = 0;
      for (int64_t d = 0; d < strip.dim; ++d) {
        cosine += static_cast<double>(strip.x[i * strip.dim + d]) * strip.y[j * strip.dim + d];
      }
      const double z = strip.scale * cosine + args.bias;
      const double target =
          IsPositive(strip, i, j) ? 1 - 0.5 * args.smoothing : 0.5 * args.smoothing;
      const double softplus = std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z)));
      const double g = args.weight * (1 / (1 + std::exp(-z)) - target);
      *args.loss += args.weight * (softplus - target * z);
      *args.dscale += g * cosine;
      *args.dbias += g;
      for (int64_t d = 0; d < strip.dim; ++d) {
        dx[i * strip.dim + d] += g * strip.scale * strip.y[j * strip.dim + d];
        dy[j * strip.dim + d] += g * strip.scale * strip.x[i * strip.dim + d];
      }
    }
  }
  for (size_t at = 0; at < dx.size(); ++at) args.dx[at] = static_cast<float>(dx[at]);
  for (size_t at = 0; at < dy.size(); ++at) args.dy[at] = static_cast<float>(dy[at]);
}

}  // namespace navit::kernels::ref
