#include <cmath>

#include "kernels/column_sum.h"
#include "kernels/rms_norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rms_norm_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

void ForwardRange(const RmsNormForwardArgs& args, int64_t begin, int64_t end) {
  const D d;
  const int64_t lanes = Lanes(), dim = args.dim;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = args.x + r * dim;
    float* y = args.y + r * dim;
    const float mean = Dot(x, x, dim) / static_cast<float>(dim);
    const float inv_rms = 1.0f / std::sqrt(mean + args.eps);
    const V factor = hn::Set(d, inv_rms);
    for (int64_t j = 0; j < dim; j += lanes) {
      const V unit = hn::Mul(LoadUpTo(x + j, dim - j), factor);
      StoreUpTo(hn::Mul(unit, LoadUpTo(args.gain + j, dim - j)), y + j, dim - j);
    }
    if (args.inv_rms != nullptr) args.inv_rms[r] = inv_rms;
  }
}

void BackwardRange(const RmsNormBackwardArgs& args, int64_t begin, int64_t end) {
  const D d;
  const int64_t lanes = Lanes(), dim = args.dim;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = args.x + r * dim;
    const float* dy = args.dy + r * dim;
    float* dx = args.dx + r * dim;
    const float inv_rms = args.inv_rms[r];
    V sum = hn::Zero(d);
    for (int64_t j = 0; j < dim; j += lanes) {
      const V g = hn::Mul(LoadUpTo(args.gain + j, dim - j), LoadUpTo(dy + j, dim - j));
      sum = hn::MulAdd(g, LoadUpTo(x + j, dim - j), sum);
    }
    // dx = inv_rms·gain·dy − x·inv_rms³·mean(gain·dy·x)
    const float mean = ReduceAdd(sum) / static_cast<float>(dim);
    const V factor = hn::Set(d, inv_rms);
    const V pull = hn::Set(d, inv_rms * inv_rms * inv_rms * mean);
    for (int64_t j = 0; j < dim; j += lanes) {
      const V g = hn::Mul(LoadUpTo(args.gain + j, dim - j), LoadUpTo(dy + j, dim - j));
      V value = hn::NegMulAdd(LoadUpTo(x + j, dim - j), pull, hn::Mul(g, factor));
      if (args.accumulate) value = hn::Add(LoadUpTo(dx + j, dim - j), value);
      StoreUpTo(value, dx + j, dim - j);
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

void RmsNormForward(const RmsNormForwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRange)(args, begin, end);
  });
}

void RmsNormBackward(const RmsNormBackwardArgs& args, ThreadPool& pool) {
  // Before dx, which may be dy.
  ColumnSumArgs sum;
  sum.rows = args.rows;
  sum.dim = args.dim;
  sum.a = args.dy;
  sum.a_row = args.dim;
  sum.b = args.x;
  sum.b_row = args.dim;
  sum.w = args.inv_rms;
  sum.sum = args.dgain;
  ColumnSum(sum, pool);
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
