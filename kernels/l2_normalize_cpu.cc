#include <cmath>

#include "kernels/l2_normalize.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/l2_normalize_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

void ForwardRange(const L2NormalizeForwardArgs& args, int64_t begin, int64_t end) {
  const int64_t lanes = Lanes(), dim = args.dim;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = args.x + r * dim;
    const float norm = std::sqrt(Dot(x, x, dim));
    const float inv_norm = 1.0f / (norm > args.eps ? norm : args.eps);
    for (int64_t j = 0; j < dim; j += lanes) {
      StoreUpTo(hn::Mul(LoadUpTo(x + j, dim - j), hn::Set(D(), inv_norm)), args.y + r * dim + j,
                dim - j);
    }
    args.inv_norm[r] = inv_norm;
  }
}

void BackwardRange(const L2NormalizeBackwardArgs& args, int64_t begin, int64_t end) {
  const D d;
  const int64_t lanes = Lanes(), dim = args.dim;
  for (int64_t r = begin; r < end; ++r) {
    const float* y = args.y + r * dim;
    const float* dy = args.dy + r * dim;
    const float inv_norm = args.inv_norm[r];
    // A clamped norm is a constant: only the scaling has a gradient.
    const float dot = inv_norm >= 1 / args.eps ? 0.0f : Dot(y, dy, dim);
    for (int64_t j = 0; j < dim; j += lanes) {
      const V tangent =
          hn::NegMulAdd(LoadUpTo(y + j, dim - j), hn::Set(d, dot), LoadUpTo(dy + j, dim - j));
      StoreUpTo(hn::Mul(tangent, hn::Set(d, inv_norm)), args.dx + r * dim + j, dim - j);
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

void L2NormalizeForward(const L2NormalizeForwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRange)(args, begin, end);
  });
}

void L2NormalizeBackward(const L2NormalizeBackwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
