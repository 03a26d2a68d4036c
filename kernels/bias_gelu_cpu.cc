#include "kernels/bias_gelu.h"
#include "kernels/column_sum.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/bias_gelu_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// (1 + tanh(w))/2 = 1/(1 + exp(−2w)), so gelu(u) = u·s with s = 1/(1 + exp(−2w)),
// w = √(2/π)·(u + 0.044715·u³), and gelu'(u) = s + u·2·s·(1 − s)·w'.
constexpr float kLinear = -2 * 0.79788456080286535588f;
constexpr float kCubic = kLinear * 0.044715f;

HWY_INLINE V Gate(V u) {
  const D d;
  const V w = hn::Mul(u, hn::MulAdd(hn::Mul(u, u), hn::Set(d, kCubic), hn::Set(d, kLinear)));
  return hn::Div(hn::Set(d, 1.0f), hn::Add(hn::Set(d, 1.0f), Exp(w)));
}

// (1 + erf(u/√2))/2 by Abramowitz and Stegun, 7.1.26: good to 1.5e-7. `gauss` is exp(−u²/2).
HWY_INLINE V NormalIntegral(V u, V gauss) {
  const D d;
  const V one = hn::Set(d, 1.0f);
  const V t = hn::Div(one, hn::MulAdd(hn::Set(d, 0.3275911f * 0.70710678f), hn::Abs(u), one));
  V p = hn::Set(d, 1.061405429f);
  p = hn::MulAdd(p, t, hn::Set(d, -1.453152027f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.421413741f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.284496736f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.254829592f));
  const V tail = hn::Mul(hn::Mul(hn::Set(d, 0.5f), hn::Mul(p, t)), gauss);
  return hn::IfThenElse(hn::Lt(u, hn::Zero(d)), tail, hn::Sub(one, tail));
}

HWY_INLINE V Gauss(V u) { return Exp(hn::Mul(hn::Mul(u, u), hn::Set(D(), -0.5f))); }

void ForwardRange(const BiasGeluForwardArgs& args, int64_t begin, int64_t end) {
  const int64_t lanes = Lanes(), dim = args.dim;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = args.x + r * dim;
    float* y = args.y + r * dim;
    for (int64_t j = 0; j < dim; j += lanes) {
      const V u = hn::Add(LoadUpTo(x + j, dim - j), LoadUpTo(args.bias + j, dim - j));
      const V gate = args.erf ? NormalIntegral(u, Gauss(u)) : Gate(u);
      StoreUpTo(hn::Mul(u, gate), y + j, dim - j);
    }
  }
}

void BackwardRange(const BiasGeluBackwardArgs& args, int64_t begin, int64_t end) {
  const D d;
  const int64_t lanes = Lanes(), dim = args.dim;
  const V one = hn::Set(d, 1.0f);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t row = r * dim;
    for (int64_t j = 0; j < dim; j += lanes) {
      const V u = hn::Add(LoadUpTo(args.x + row + j, dim - j), LoadUpTo(args.bias + j, dim - j));
      const V dy = LoadUpTo(args.dy + row + j, dim - j);
      if (args.erf) {
        const V gauss = Gauss(u);
        const V density = hn::Mul(gauss, hn::Set(d, 0.39894228f));
        const V derivative = hn::MulAdd(u, density, NormalIntegral(u, gauss));
        StoreUpTo(hn::Mul(dy, derivative), args.dx + row + j, dim - j);
        continue;
      }
      const V s = Gate(u);
      const V slope = hn::MulAdd(hn::Mul(u, u), hn::Set(d, -3 * kCubic), hn::Set(d, -kLinear));
      const V derivative = hn::MulAdd(hn::Mul(u, slope), hn::Mul(s, hn::Sub(one, s)), s);
      StoreUpTo(hn::Mul(dy, derivative), args.dx + row + j, dim - j);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {

namespace {
HWY_EXPORT(ForwardRange);
HWY_EXPORT(BackwardRange);
}  // namespace

void BiasGeluForward(const BiasGeluForwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRange)(args, begin, end);
  });
}

void BiasGeluBackward(const BiasGeluBackwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
  ColumnSumArgs sum;
  sum.rows = args.rows;
  sum.dim = args.dim;
  sum.a = args.dx;
  sum.a_row = args.dim;
  sum.sum = args.dbias;
  ColumnSum(sum, pool);
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
