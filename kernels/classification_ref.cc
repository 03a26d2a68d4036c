#include <algorithm>
#include <cmath>

#include "kernels/classification.h"

namespace navit::kernels::ref {
namespace {

double Target(const ClassificationArgs& args, int64_t row, int64_t j) {
  const double spread = static_cast<double>(args.smoothing) / static_cast<double>(args.classes);
  return (j == args.label[row] ? 1.0 - args.smoothing : 0.0) + spread;
}

}  // namespace

void SoftmaxClassification(const ClassificationArgs& args) {
  *args.loss = 0;
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* z = args.logits + r * args.classes;
    const double max = *std::max_element(z, z + args.classes);
    double sum = 0;
    for (int64_t j = 0; j < args.classes; ++j) sum += std::exp(z[j] - max);
    const double lse = max + std::log(sum);
    for (int64_t j = 0; j < args.classes; ++j) {
      const double target = Target(args, r, j), logit = z[j];
      *args.loss += args.weight * target * (lse - logit);
      args.dlogits[r * args.classes + j] =
          static_cast<float>(args.weight * (std::exp(logit - lse) - target));
    }
  }
}

void SigmoidClassification(const ClassificationArgs& args) {
  *args.loss = 0;
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t j = 0; j < args.classes; ++j) {
      const double target = Target(args, r, j), logit = args.logits[r * args.classes + j];
      const double softplus = std::max(logit, 0.0) + std::log1p(std::exp(-std::abs(logit)));
      *args.loss += args.weight * (softplus - target * logit);
      args.dlogits[r * args.classes + j] =
          static_cast<float>(args.weight * (1 / (1 + std::exp(-logit)) - target));
    }
  }
}

}  // namespace navit::kernels::ref
