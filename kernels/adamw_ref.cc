#include <cmath>

#include "kernels/adamw.h"

namespace navit::kernels::ref {

void AdamW(const AdamWArgs& args) {
  const double correction1 = 1 - std::pow(args.beta1, args.step);
  const double correction2 = 1 - std::pow(args.beta2, args.step);
  for (int64_t i = 0; i < args.count; ++i) {
    const double g = args.grad[i] * args.grad_scale;
    const double m = args.beta1 * args.m[i] + (1 - args.beta1) * g;
    const double v = args.beta2 * args.v[i] + (1 - args.beta2) * g * g;
    const double decayed = args.param[i] * (1 - args.lr * args.weight_decay);
    args.param[i] = static_cast<float>(decayed - args.lr * (m / correction1) /
                                                     (std::sqrt(v / correction2) + args.eps));
    args.m[i] = static_cast<float>(m);
    args.v[i] = static_cast<float>(v);
  }
}

double SumSquares(const float* x, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

void Scale(float* x, int64_t count, float factor) {
  for (int64_t i = 0; i < count; ++i) x[i] *= factor;
}

}  // namespace navit::kernels::ref
