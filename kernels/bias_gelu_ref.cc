#include <cmath>
#include <vector>

#include "kernels/bias_gelu.h"

namespace navit::kernels::ref {
namespace {

constexpr double kSqrt2OverPi = 0.79788456080286535588;
constexpr double kCubic = 0.044715;
constexpr double kSqrt2 = 1.4142135623730951;

// (1 + erf(u/√2))/2, the normal distribution's integral, and its density.
double NormalIntegral(double u) { return 0.5 * (1 + std::erf(u / kSqrt2)); }
double NormalDensity(double u) { return 0.5 * kSqrt2OverPi * std::exp(-0.5 * u * u); }

}  // namespace

void BiasGeluForward(const BiasGeluForwardArgs& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t d = 0; d < args.dim; ++d) {
      const double u = static_cast<double>(args.x[r * args.dim + d]) + args.bias[d];
      const double tanh = std::tanh(kSqrt2OverPi * (u + kCubic * u * u * u));
      const double gate = args.erf ? NormalIntegral(u) : 0.5 * (1 + tanh);
      args.y[r * args.dim + d] = static_cast<float>(u * gate);
    }
  }
}

void BiasGeluBackward(const BiasGeluBackwardArgs& args) {
  std::vector<double> dbias(args.dim, 0);
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t d = 0; d < args.dim; ++d) {
      const int64_t at = r * args.dim + d;
      const double u = static_cast<double>(args.x[at]) + args.bias[d];
      const double tanh = std::tanh(kSqrt2OverPi * (u + kCubic * u * u * u));
      const double inner = kSqrt2OverPi * (1 + 3 * kCubic * u * u);
      const double slope = args.erf ? NormalIntegral(u) + u * NormalDensity(u)
                                    : 0.5 * (1 + tanh) + 0.5 * u * (1 - tanh * tanh) * inner;
      const double dx = args.dy[at] * slope;
      args.dx[at] = static_cast<float>(dx);
      dbias[d] += dx;
    }
  }
  for (int64_t d = 0; d < args.dim; ++d) args.dbias[d] += static_cast<float>(dbias[d]);
}

}  // namespace navit::kernels::ref
