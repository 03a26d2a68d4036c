#include "kernels/cuda/bias_gelu.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/slab_sum.h"

namespace navit::kernels::cuda {
namespace {

constexpr float kSqrt2OverPi = 0.797884560802865f;
constexpr float kCubic = 0.044715f;
constexpr float kLog2E = 1.44269504088896f;

// The tanh form is u·σ(2z), z = √(2/π)·(u + kCubic·u³), σ the logistic function: one exponential,
// and a square of an inverse root, which has no branch as Reciprocal has. At the ends it saturates.
NAVIT_DEVICE float Logistic2Z(float u) {
  constexpr float kLinear = -2 * kLog2E * kSqrt2OverPi;
  const float root = InverseSqrt(1 + Exp2(u * Fma(kLinear * kCubic, u * u, kLinear)));
  return root * root;
}

template <bool kErf>
NAVIT_DEVICE float Gelu(float u) {
  if constexpr (kErf) {
    return 0.5f * u * (1 + Erf(u * 0.707106781186548f));
  } else {
    return u * Logistic2Z(u);
  }
}

template <bool kErf>
NAVIT_DEVICE float GeluSlope(float u) {
  if constexpr (kErf) {
    return 0.5f * (1 + Erf(u * 0.707106781186548f)) +
           u * 0.398942280401433f * Exp2(-0.5f * kLog2E * u * u);
  } else {
    // σ + u·σ·(1 − σ)·2·dz/du
    const float s = Logistic2Z(u);
    const float twice_dz = Fma(6 * kSqrt2OverPi * kCubic, u * u, 2 * kSqrt2OverPi);
    return Fma(u * (s - s * s), twice_dz, s);
  }
}

struct ForwardArgs {
  const Bf16* x;
  const float* bias;
  Bf16* y;
};

// y = gelu(x + bias); no terms.
template <bool kErf>
struct Forward {
  using Args = ForwardArgs;
  struct Loaded {
    Vector16 x;
  };

  NAVIT_DEVICE Forward(const Args& args, int64_t i, int64_t dim)
      : x_(args.x), y_(args.y), i_(i), dim_(dim) {
    LoadEight(bias_, Global<const float>(args.bias), i, dim);
  }

  NAVIT_DEVICE Loaded Load(int64_t row) const { return {LoadPacked(x_ + row * dim_, i_, dim_)}; }
  NAVIT_DEVICE void Take(int64_t row, const Loaded& loaded, float (&terms)[8]) const {
    Unpack(loaded.x, terms);
    NAVIT_UNROLL
    for (int j = 0; j < 8; ++j) terms[j] = Gelu<kErf>(terms[j] + bias_[j]);
    StoreEight(terms, y_ + row * dim_, i_, dim_);
  }

 private:
  const Global<const Bf16> x_;
  const Global<Bf16> y_;
  const int64_t i_, dim_;
  float bias_[8];
};

struct BackwardArgs {
  const Bf16* x;
  const float* bias;
  const Bf16* dy;
  Bf16* dx;
};

// dx = dy·gelu'(x + bias); the terms are dx as rounded.
template <bool kErf>
struct Backward {
  using Args = BackwardArgs;
  struct Loaded {
    Vector16 x, dy;
  };

  NAVIT_DEVICE Backward(const Args& args, int64_t i, int64_t dim)
      : x_(args.x), dy_(args.dy), dx_(args.dx), i_(i), dim_(dim) {
    LoadEight(bias_, Global<const float>(args.bias), i, dim);
  }

  NAVIT_DEVICE Loaded Load(int64_t row) const {
    return {LoadPacked(x_ + row * dim_, i_, dim_), LoadPacked(dy_ + row * dim_, i_, dim_)};
  }
  NAVIT_DEVICE void Take(int64_t row, const Loaded& loaded, float (&terms)[8]) const {
    float x[8];
    Unpack(loaded.x, x);
    Unpack(loaded.dy, terms);
    NAVIT_UNROLL
    for (int j = 0; j < 8; ++j) terms[j] *= GeluSlope<kErf>(x[j] + bias_[j]);
    StoreEight(terms, dx_ + row * dim_, i_, dim_);
    Unpack(Pack(terms), terms);
  }

 private:
  const Global<const Bf16> x_, dy_;
  const Global<Bf16> dx_;
  const int64_t i_, dim_;
  float bias_[8];
};

}  // namespace

LaunchError BiasGeluForward(const BiasGeluForwardArgs& args, Stream stream) {
  const auto walk = args.erf ? WalkSlabs<Forward<true>> : WalkSlabs<Forward<false>>;
  return walk(args.rows, args.dim, {args.x, args.bias, args.y}, nullptr, nullptr, stream);
}

LaunchError BiasGeluBackward(const BiasGeluBackwardArgs& args, Stream stream) {
  const auto walk = args.erf ? WalkSlabs<Backward<true>> : WalkSlabs<Backward<false>>;
  return walk(args.rows, args.dim, {args.x, args.bias, args.dy, args.dx}, args.dbias, args.partial,
              stream);
}

}  // namespace navit::kernels::cuda
