#include <cmath>

#include "kernels/column_sum.h"
#include "kernels/layer_norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/layer_norm_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

void ForwardRange(const LayerNormForwardArgs& args, int64_t begin, int64_t end) {
  const D d;
  const int64_t lanes = Lanes(), dim = args.dim, whole = dim - dim % lanes;
  const float inv_dim = 1.0f / static_cast<float>(dim);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = args.x + r * dim;
    float* y = args.y + r * dim;
    V sum = hn::Zero(d);
    for (int64_t j = 0; j < dim; j += lanes) sum = hn::Add(sum, LoadUpTo(x + j, dim - j));
    const float mean = ReduceAdd(sum) * inv_dim;
    const V center = hn::Set(d, mean);
    V squares = hn::Zero(d);
    for (int64_t j = 0; j < whole; j += lanes) {
      const V from_mean = hn::Sub(hn::LoadU(d, x + j), center);
      squares = hn::MulAdd(from_mean, from_mean, squares);
    }
    float variance = ReduceAdd(squares);
    // LoadUpTo's zeros would count as elements here.
    for (int64_t j = whole; j < dim; ++j) variance += (x[j] - mean) * (x[j] - mean);
    const float inv_std = 1.0f / std::sqrt(variance * inv_dim + args.eps);
    const V factor = hn::Set(d, inv_std);
    for (int64_t j = 0; j < dim; j += lanes) {
      const int64_t n = dim - j;
      const V unit = hn::Mul(hn::Sub(LoadUpTo(x + j, n), center), factor);
      StoreUpTo(hn::MulAdd(unit, LoadUpTo(args.gain + j, n), LoadUpTo(args.bias + j, n)), y + j, n);
    }
    if (args.inv_std == nullptr) continue;
    args.inv_std[r] = inv_std;
    args.shift[r] = -mean * inv_std;
  }
}

void BackwardRange(const LayerNormBackwardArgs& args, int64_t begin, int64_t end) {
  const D d;
  const int64_t lanes = Lanes(), dim = args.dim;
  const float inv_dim = 1.0f / static_cast<float>(dim);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = args.x + r * dim;
    const float* dy = args.dy + r * dim;
    float* dx = args.dx + r * dim;
    const V factor = hn::Set(d, args.inv_std[r]), shift = hn::Set(d, args.shift[r]);
    V sum_g = hn::Zero(d), sum_gx = hn::Zero(d);
    for (int64_t j = 0; j < dim; j += lanes) {
      const int64_t n = dim - j;
      // Zero behind the end, so that the shift there adds nothing.
      const V g = hn::Mul(LoadUpTo(args.gain + j, n), LoadUpTo(dy + j, n));
      sum_g = hn::Add(sum_g, g);
      sum_gx = hn::MulAdd(g, hn::MulAdd(LoadUpTo(x + j, n), factor, shift), sum_gx);
    }
    const V mean_g = hn::Set(d, ReduceAdd(sum_g) * inv_dim);
    const V mean_gx = hn::Set(d, ReduceAdd(sum_gx) * inv_dim);
    for (int64_t j = 0; j < dim; j += lanes) {
      const int64_t n = dim - j;
      const V g = hn::Mul(LoadUpTo(args.gain + j, n), LoadUpTo(dy + j, n));
      const V unit = hn::MulAdd(LoadUpTo(x + j, n), factor, shift);
      V value = hn::Mul(factor, hn::NegMulAdd(unit, mean_gx, hn::Sub(g, mean_g)));
      if (args.accumulate) value = hn::Add(LoadUpTo(dx + j, n), value);
      StoreUpTo(value, dx + j, n);
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

void LayerNormForward(const LayerNormForwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRange)(args, begin, end);
  });
}

void LayerNormBackward(const LayerNormBackwardArgs& args, ThreadPool& pool) {
  // Before dx, which may be dy. Σ dy·x̂ in two parts: Σ dy·x·inv_std + Σ dy·shift.
  ColumnSumArgs sum;
  sum.rows = args.rows;
  sum.dim = args.dim;
  sum.a = args.dy;
  sum.a_row = args.dim;
  sum.sum = args.dbias;
  ColumnSum(sum, pool);
  sum.sum = args.dgain;
  sum.w = args.shift;
  ColumnSum(sum, pool);
  sum.b = args.x;
  sum.b_row = args.dim;
  sum.w = args.inv_std;
  ColumnSum(sum, pool);
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
