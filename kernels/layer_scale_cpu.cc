#include "kernels/column_sum.h"
#include "kernels/layer_scale.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/layer_scale_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

void ForwardRange(const LayerScaleForwardArgs& args, int64_t begin, int64_t end) {
  const int64_t dim = args.dim;
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t j = 0; j < dim; j += Lanes()) {
      const int64_t n = dim - j;
      float* y = args.y + r * dim + j;
      StoreUpTo(
          hn::MulAdd(LoadUpTo(args.gain + j, n), LoadUpTo(args.x + r * dim + j, n), LoadUpTo(y, n)),
          y, n);
    }
  }
}

void BackwardRange(const LayerScaleBackwardArgs& args, int64_t begin, int64_t end) {
  const int64_t dim = args.dim;
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t j = 0; j < dim; j += Lanes()) {
      const int64_t n = dim - j;
      StoreUpTo(hn::Mul(LoadUpTo(args.gain + j, n), LoadUpTo(args.dy + r * dim + j, n)),
                args.dx + r * dim + j, n);
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

void LayerScaleForward(const LayerScaleForwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRange)(args, begin, end);
  });
}

void LayerScaleBackward(const LayerScaleBackwardArgs& args, ThreadPool& pool) {
  ColumnSumArgs sum;
  sum.rows = args.rows;
  sum.dim = args.dim;
  sum.a = args.dy;
  sum.a_row = args.dim;
  sum.b = args.x;
  sum.b_row = args.dim;
  sum.sum = args.dgain;
  ColumnSum(sum, pool);
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
