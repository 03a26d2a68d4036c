#include "kernels/rope.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rope_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

void RopeRange(const RopeArgs& args, int64_t begin, int64_t end) {
  const int64_t lanes = Lanes(), pairs = args.head_dim / 2;
  const V sign = hn::Set(D(), args.inverse ? -1.0f : 1.0f);
  for (int64_t t = begin; t < end; ++t) {
    const float* cosines = args.cos_sin + t * args.head_dim;
    for (int64_t i = 0; i < pairs; i += lanes) {
      const int64_t n = pairs - i;
      const V cosine = LoadUpTo(cosines + i, n);
      const V sine = hn::Mul(sign, LoadUpTo(cosines + pairs + i, n));
      for (int64_t vector = 0; vector < 2 * args.heads; ++vector) {
        float* x = args.qkv + (t * 3 * args.heads + vector) * args.head_dim + i;
        const V a = LoadUpTo(x, n), b = LoadUpTo(x + pairs, n);
        StoreUpTo(hn::NegMulAdd(b, sine, hn::Mul(a, cosine)), x, n);
        StoreUpTo(hn::MulAdd(a, sine, hn::Mul(b, cosine)), x + pairs, n);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {

namespace {
HWY_EXPORT(RopeRange);
}  // namespace

void Rope(const RopeArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.tokens, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(RopeRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
