#include "kernels/cuda/bias_gelu.h"
#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

constexpr float kSqrt2OverPi = 0.797884560802865f;
constexpr float kCubic = 0.044715f;
constexpr float kLog2E = 1.44269504088896f;

// From e^2x, so that one exponential does; the ends saturate.
NAVIT_DEVICE float Tanh(float x) { return 1 - 2 * Reciprocal(1 + Exp2(2 * kLog2E * x)); }

NAVIT_DEVICE float Gelu(float u, bool erf) {
  if (erf) return 0.5f * u * (1 + Erf(u * 0.707106781186548f));
  return 0.5f * u * (1 + Tanh(kSqrt2OverPi * (u + kCubic * u * u * u)));
}

NAVIT_DEVICE float GeluSlope(float u, bool erf) {
  if (erf) {
    return 0.5f * (1 + Erf(u * 0.707106781186548f)) +
           u * 0.398942280401433f * Exp2(-0.5f * kLog2E * u * u);
  }
  const float t = Tanh(kSqrt2OverPi * (u + kCubic * u * u * u));
  return 0.5f * (1 + t) + 0.5f * u * (1 - t * t) * kSqrt2OverPi * (1 + 3 * kCubic * u * u);
}

struct Forward {
  using Args = BiasGeluForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    const Global<const Bf16> x = Global<const Bf16>(args.x) + row * dim;
    const Global<Bf16> y = Global<Bf16>(args.y) + row * dim;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], bias[8];
      LoadEight(values, x, i, dim);
      LoadEight(bias, Global<const float>(args.bias), i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) values[j] = Gelu(values[j] + bias[j], args.erf);
      StoreEight(values, y, i, dim);
    }
  }
};

struct Backward {
  using Args = BiasGeluBackwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    const Global<const Bf16> x = Global<const Bf16>(args.x) + row * dim;
    const Global<const Bf16> dy = Global<const Bf16>(args.dy) + row * dim;
    const Global<Bf16> dx = Global<Bf16>(args.dx) + row * dim;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], bias[8], gradients[8];
      LoadEight(values, x, i, dim);
      LoadEight(gradients, dy, i, dim);
      LoadEight(bias, Global<const float>(args.bias), i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) gradients[j] *= GeluSlope(values[j] + bias[j], args.erf);
      StoreEight(gradients, dx, i, dim);
    }
  }
};

}  // namespace

LaunchError BiasGeluForward(const BiasGeluForwardArgs& args, Stream stream) {
  return ForEachRow<Forward>(args.rows, args, stream);
}

LaunchError BiasGeluBackward(const BiasGeluBackwardArgs& args, Stream stream) {
  const LaunchError error = ForEachRow<Backward>(args.rows, args, stream);
  if (!error.ok()) return error;
  return ColumnSum({args.rows, args.dim, args.dx, nullptr, nullptr, args.dbias, args.partial},
                   stream);
}

}  // namespace navit::kernels::cuda
